//! A file that is written as a whole, or not at all.

#[cfg(unix)]
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use pushwatch::record::Record;
use pushwatch::text::clean;
use tempfile::NamedTempFile;

use super::error::ListError;

/// A file to be written as a whole, or not at all.
#[derive(Debug)]
pub struct Save {
    path: PathBuf,
    file: NamedTempFile,
}

impl Save {
    /// Makes sure that the file can be written, before any work is done.
    ///
    /// # Errors
    /// When it can't.
    pub fn prepare(path: &Path) -> Result<Self, ListError> {
        Self::beside(path).map_err(|error| unwritable(path, error))
    }

    fn beside(path: &Path) -> io::Result<Self> {
        // What a link points to is replaced, not the link.
        let (path, existing) = match path.canonicalize() {
            Ok(real) => (real.clone(), Some(real.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
            Err(error) => return Err(error),
        };
        if existing
            .as_ref()
            .is_some_and(|existing| !existing.is_file())
        {
            return Err(io::Error::other("it is no regular file"));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any other new file: the umask applies.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder)?;
        if let Some(existing) = existing {
            file.as_file().set_permissions(existing.permissions())?;
        }
        Ok(Self { path, file })
    }

    /// Writes these records, and no more.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn write(mut self, records: &[Record]) -> Result<(), ListError> {
        self.append(records)?;
        self.finish()
    }

    /// Adds records. Nobody sees them before the end.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn append(&mut self, records: &[Record]) -> Result<(), ListError> {
        let write = || {
            let mut writer = BufWriter::new(&self.file);
            for record in records {
                serde_json::to_writer(&mut writer, record)?;
                writer.write_all(b"\n")?;
            }
            writer.flush()
        };
        write().map_err(|error| unwritable(&self.path, error))
    }

    /// Writes this text, and no more.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn text(mut self, text: &str) -> Result<(), ListError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|error| unwritable(&self.path, error))?;
        self.finish()
    }

    /// Replaces the file by what was written.
    ///
    /// # Errors
    /// When it can't.
    pub fn finish(self) -> Result<(), ListError> {
        let Self { path, file } = self;
        file.persist(&path)
            .map_err(|error| unwritable(&path, error.error))?;
        Ok(())
    }
}

fn unwritable(path: &Path, error: io::Error) -> ListError {
    ListError::Unwritable {
        path: clean(&path.to_string_lossy()),
        error,
    }
}
