//! The socket's place beside the file, and who may use it.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
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
        Ok(Self { path: descriptor(&folder).join(name), _folder: Some(folder) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A folder for the process's user alone, in which a socket is made: nobody can put a link in its
/// place while its owner and mode are set.
pub struct Draft {
    folder: PathBuf,
    /// The socket, by way of the folder's descriptor.
    socket: PathBuf,
    /// Keeps the descriptor.
    _open: File,
}

impl Draft {
    /// Makes the folder, in the place of one that a process which died has left.
    pub fn make(folder: PathBuf) -> io::Result<Self> {
        match fs::symlink_metadata(&folder) {
            Ok(left) if left.is_dir() => clear(&folder)?,
            Ok(_) => fs::remove_file(&folder)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let open = File::open(&folder)?;
        let made = open.metadata()?;
        if made.uid() != fs::metadata("/proc/self")?.uid() || made.mode() & 0o077 != 0 {
            return Err(io::Error::other("somebody else changes the folder of the store"));
        }
        let socket = descriptor(&open).join(DRAFT);
        Ok(Self { folder, socket, _open: open })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.folder) {
            tracing::warn!(%error, path = %self.folder.display(), "a folder is left over");
        }
    }
}

/// The socket's name while it is made.
const DRAFT: &str = "socket";

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(DRAFT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::remove_dir(folder)
}

/// A path that leads to an open folder, whatever its name is by now.
fn descriptor(folder: &File) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string())
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
