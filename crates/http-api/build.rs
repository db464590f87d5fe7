//! Compresses the embedded documents at build time.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Paths relative to this directory. Vendored files are compressed already.
const DOCUMENTS: [&str; 1] = ["../../docs/openapi.json"];
/// The best quality of Brotli, and a window that is larger than each document.
const QUALITY: i32 = 11;
const WINDOW_BITS: i32 = 18;

fn main() -> Result<(), Box<dyn Error>> {
    let to = PathBuf::from(env::var_os("OUT_DIR").ok_or("there is no OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    for document in DOCUMENTS {
        println!("cargo::rerun-if-changed={document}");
        let bytes = fs::read(document)?;
        let name = Path::new(document).file_name().and_then(|name| name.to_str()).ok_or("a document has no name")?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&bytes)?;
        fs::write(to.join(format!("{name}.gz")), gzip.finish()?)?;
        let mut brotli = Vec::new();
        let mut parameters = brotli::enc::BrotliEncoderParams::default();
        (parameters.quality, parameters.lgwin) = (QUALITY, WINDOW_BITS);
        brotli::BrotliCompress(&mut bytes.as_slice(), &mut brotli, &parameters)?;
        fs::write(to.join(format!("{name}.br")), brotli)?;
    }
    Ok(())
}
