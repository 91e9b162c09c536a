//! Whose rows a caller may touch.

use std::sync::Arc;

use crate::account::Account;
use crate::id::{AccountId, UserId};

/// Whose rows a caller may touch, who may not touch everybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    User(UserId),
    Listed(Arc<Listed>),
}

/// What a credential is narrowed to: the rows of these users, and these accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub users: Vec<UserId>,
    pub accounts: Vec<AccountId>,
}

impl Owner {
    /// Whether the rows of a user are among them.
    #[must_use]
    pub fn has_user(&self, user_id: &UserId) -> bool {
        match self {
            Self::User(user) => user == user_id,
            Self::Listed(listed) => listed.users.contains(user_id),
        }
    }

    /// Whether an account is among them: by its number, or as its owner's.
    #[must_use]
    pub fn has_account(&self, account: &Account) -> bool {
        let is_owners = account.user_id.as_ref().is_some_and(|user| self.has_user(user));
        let is_listed = match self {
            Self::User(_) => false,
            Self::Listed(listed) => listed.accounts.contains(&account.id),
        };
        is_owners || is_listed
    }
}

impl From<UserId> for Owner {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}
