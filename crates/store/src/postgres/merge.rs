//! The index of words and terms keeps what is new in a list and merges it when the list is long;
//! by itself it does so in the middle of the commit that makes it too long, while all others wait.
//! Here it is done beside the commits, on a connection for questions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::connect::Pool;
use crate::Error;

/// How long the list may grow in a commit all the same, in kilobytes: nobody may be allowed to
/// merge here, or there is no time, and every search reads all of the list.
pub const LIST_KB_MAX: usize = 16_384;
/// How often it is looked whether there is something to merge.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How many new items are worth a merge: with more at a time it takes less for each.
const ITEMS_MIN: usize = 4_000;
/// After so many looks without a new item what there is is merged, so that searches find it short.
const QUIET_LOOKS: u32 = 10;

/// Merges whenever enough was written, or nothing for a while.
pub async fn run(pool: Arc<Pool>, unmerged: Arc<AtomicUsize>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut seen, mut quiet) = (0, 0);
    loop {
        ticks.tick().await;
        let items = unmerged.load(Ordering::Relaxed);
        quiet = if items == seen { quiet + 1 } else { 0 };
        seen = items;
        if items == 0 || (items < ITEMS_MIN && quiet < QUIET_LOOKS) {
            continue;
        }
        unmerged.fetch_sub(items, Ordering::Relaxed);
        (seen, quiet) = (0, 0);
        match merge(&pool).await {
            Ok(()) => {}
            Err(Error::Closed) => return,
            // The index merges by itself when its list is long.
            Err(error) => tracing::debug!(%error, "the search index is not merged"),
        }
    }
}

async fn merge(pool: &Pool) -> crate::Result<()> {
    let merge = "select gin_clean_pending_list('transactions_search')";
    pool.ask().await?.query_opt(merge, &[]).await?;
    Ok(())
}
