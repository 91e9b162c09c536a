//! The stores that the program may keep its books in, for tests of the whole program.

#[path = "../../crates/store/tests/store/database.rs"]
pub mod database;

pub use database::{Database, connect, server};

/// The store that a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// Makes each rule a test of every store. A rule that stands in no list is dead code, which the
/// compiler names.
macro_rules! every_store {
    ($($rule:ident,)*) => {
        mod sqlite {
            $(#[test]
            fn $rule() {
                super::$rule(crate::stores::On::Sqlite);
            })*
        }

        mod postgres {
            $(#[test]
            fn $rule() {
                if crate::stores::server().is_some() {
                    super::$rule(crate::stores::On::Postgres);
                }
            })*
        }
    };
}
pub(crate) use every_store;

impl On {
    /// A new database, where this is about one.
    pub fn database(self) -> Option<Database> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => {
                let server = server().expect("a server");
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                Some(runtime.block_on(Database::make(&server)).expect("a new database"))
            }
        }
    }
}
