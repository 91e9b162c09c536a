//! The advisory locks of a database. All processes must mean the same by a number, so each is here;
//! the compiler refuses a number that stands here twice.

/// A lock that one process holds until its transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
pub enum Lock {
    /// Whoever migrates the schema.
    Migration = 0x4441_5942_0001,
    /// Whoever commits: one at a time.
    Commit = 0x4441_5942_0002,
    /// Whoever reads the database as the source of a copy shares it, which tells whether two URLs name the
    /// same database.
    CopySource = 0x4441_5942_0003,
    /// Whoever makes the ring of keys.
    Ring = 0x4441_5942_0004,
}

impl Lock {
    /// Waits until nobody else has it.
    pub fn take(self) -> String {
        format!("select pg_advisory_xact_lock({})", self as i64)
    }

    /// Waits until nobody has it alone.
    pub fn share(self) -> String {
        format!("select pg_advisory_xact_lock_shared({})", self as i64)
    }

    /// Answers whether it was free, and takes it then.
    pub fn try_take(self) -> String {
        format!("select pg_try_advisory_xact_lock({})", self as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn statements_name_the_number_of_the_lock() {
        let locks = [Lock::Migration, Lock::Commit, Lock::CopySource, Lock::Ring];
        let numbers =
            [75_047_461_060_609_i64, 75_047_461_060_610, 75_047_461_060_611, 75_047_461_060_612];
        for (lock, number) in locks.into_iter().zip(numbers) {
            assert_eq!(lock.take(), format!("select pg_advisory_xact_lock({number})"));
            assert_eq!(lock.share(), format!("select pg_advisory_xact_lock_shared({number})"));
            assert_eq!(lock.try_take(), format!("select pg_try_advisory_xact_lock({number})"));
        }
    }
}
