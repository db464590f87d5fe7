//! A file that a command creates.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A new file, removed on drop unless it is [finished](Self::finish).
pub struct NewFile {
    path: PathBuf,
    writer: BufWriter<File>,
    is_finished: bool,
}

impl NewFile {
    /// Creates the file, which only its owner can read.
    ///
    /// # Errors
    /// If it exists, also as a link, or cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let writer = BufWriter::new(options.open(path)?);
        Ok(Self { path: path.to_owned(), writer, is_finished: false })
    }

    /// Keeps the file, once the disk has all of it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        self.is_finished = true;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // The command reports the error that led here.
            let _ = fs::remove_file(&self.path);
        }
    }
}
