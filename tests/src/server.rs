//! The real server, started as a process.
