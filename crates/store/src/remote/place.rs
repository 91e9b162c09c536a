//! The socket's place beside the file, and who may use it.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use daybook_core::id::fnv128;

use crate::sqlite::beside;

/// The longest path that every system takes as the address of a socket, in bytes.
const ADDRESS_BYTES_MAX: usize = 103;
/// The longest name of a file whose socket is named after it: it must fit into an address.
const NAME_BYTES_MAX: usize = 60;

/// The path of a store's socket.
pub fn socket(store: &Path) -> PathBuf {
    let name = store.file_name().unwrap_or_default();
    if name.len() <= NAME_BYTES_MAX {
        return beside(store, "-socket");
    }
    store.with_file_name(format!("daybook-{:032x}-socket", fnv128(&[name.as_bytes()])))
}

/// An address that names a path however long it is; it holds as long as this value.
pub struct Address {
    path: PathBuf,
    /// Names the folder of a path that is too long.
    _folder: Option<File>,
}

impl Address {
    pub fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")))?;
        let name = path.file_name().unwrap_or_default();
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Lets exactly those use a socket who may write to the file. Where the socket cannot have the
/// file's group, it is for its owner alone.
pub fn share(socket: &Path, file: &Metadata) -> io::Result<()> {
    let mode = file.mode() & 0o777;
    let (user, group) = (file.uid(), file.gid());
    let own = fs::metadata(socket)?;
    let is_alike = (own.uid(), own.gid()) == (user, group);
    let is_shared = is_alike
        || std::os::unix::fs::chown(socket, Some(user), Some(group)).is_ok()
        || std::os::unix::fs::chown(socket, None, Some(group)).is_ok();
    let mode = if is_shared { mode } else { mode & 0o700 };
    fs::set_permissions(socket, Permissions::from_mode(mode))
}

/// A socket's file, which is removed when it is not used any more.
pub struct SocketFile {
    path: PathBuf,
    /// Its device and its number there, so that nobody else's is removed.
    id: (u64, u64),
}

impl SocketFile {
    pub fn at(path: PathBuf) -> io::Result<Self> {
        let id = id(&path)?;
        Ok(Self { path, id })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a socket is left over");
        }
    }
}
