//! What every repository promises.
