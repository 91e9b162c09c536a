//! Every bound in one place, each with the reason for its size. What a deployment may change is
//! in the server's configuration; these are the values it starts from and the ones it may not.

/// The most keys one metadata object holds, nested ones included: what people attach to a payment.
pub const METADATA_KEYS_MAX: usize = 64;
/// The longest metadata key, in characters: a key is a name, not a sentence.
pub const METADATA_KEY_CHARS_MAX: usize = 100;
/// The largest metadata, in bytes of JSON: a row must fit in a few database pages.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The deepest metadata: deeper than this nobody can filter on it.
pub const METADATA_DEPTH_MAX: usize = 5;
/// The longest user id, in characters: room for an e-mail address or a URN, and as much as the
/// systems that gave it keep in a short text.
pub const USER_ID_CHARS_MAX: usize = 255;
/// The longest `source`, in characters: the name of a system.
pub const SOURCE_CHARS_MAX: usize = 64;
/// The longest `external_id`, in characters: the id another system gave.
pub const EXTERNAL_ID_CHARS_MAX: usize = 255;
/// The longest `Idempotency-Key`, in visible ASCII characters, as the contract promises.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// The longest number token read as an amount: 20 integer digits, 18 fraction digits and slack.
pub const AMOUNT_CHARS_MAX: usize = 64;
/// The most items in one batch: about 5 MB of JSON, well under a second of work.
pub const BATCH_ITEMS_MAX: usize = 10_000;
/// The largest page: enough for any screen, small enough to build in a millisecond.
pub const PAGE_SIZE_MAX: u32 = 100;
/// The page size when none is asked for.
pub const PAGE_SIZE_DEFAULT: u32 = 20;
/// The deepest row that page numbers reach; beyond it cursors page at the same cost everywhere.
pub const PAGE_OFFSET_MAX: u64 = 10_000_000;
/// The longest search text, in characters: a sentence.
pub const SEARCH_CHARS_MAX: usize = 256;
/// The most words in one search: each costs a few index lookups.
pub const SEARCH_WORDS_MAX: usize = 16;
/// The most dictionary words that one searched word expands to by its beginning; past it the
/// index's own prefix scan answers, which is complete too, but slower.
pub const SEARCH_PREFIX_WORDS_MAX: usize = 64;
/// The most beginnings of words with digits among them: each is ten scans, one for each digit.
pub const SEARCH_PREFIX_LETTERS_MAX: usize = 8;
/// The most dictionary words that one searched word reaches by typos, the closest kept; an answer
/// says when there are more.
pub const SEARCH_TYPO_WORDS_MAX: usize = 64;
/// The longest word the index keeps, in characters; the rest of a longer one is cut off.
pub const WORD_CHARS_MAX: usize = 40;
/// The most words of one record that the index keeps: 16 KiB of metadata is about this much.
pub const DOCUMENT_WORDS_MAX: usize = 3_000;
/// The most metadata conditions in one query.
pub const METADATA_FILTERS_MAX: usize = 16;
/// The most values one repeated filter takes.
pub const FILTER_VALUES_MAX: usize = 32;
/// The most points one series answers: ten years of days, and then some.
pub const SERIES_POINTS_MAX: usize = 4_000;
/// The most groups one series distinguishes; what is smaller is summed up as `other`.
pub const SERIES_GROUPS_MAX: usize = 50;
/// The most changes in one answer of `sync`.
pub const SYNC_PAGE_MAX: u32 = 500;
/// The earliest `created_at`, in seconds since 1970 (1900-01-01): older than any account.
pub const CREATED_AT_MIN_S: i64 = -2_208_988_800;
/// The first second after the latest `created_at` (2200-01-01): later is a typing error.
pub const CREATED_AT_END_S: i64 = 7_258_118_400;
/// The longest text of `display`, in characters: two lines on a phone, and no screen shows more.
pub const DISPLAY_CHARS_MAX: usize = 120;
/// The longest account name, in characters: a line on a statement.
pub const ACCOUNT_NAME_CHARS_MAX: usize = 100;
/// The longest transfer reference, in characters: the id another system gave.
pub const REFERENCE_CHARS_MAX: usize = 255;
/// The longest a hold may wait, in seconds: a year, as card pre-authorizations never do.
pub const HOLD_S_MAX: u64 = 366 * 86_400;
/// How many entries of an account lie between two marks: so many rows are read at most to find
/// the entry of a moment, and one index row is written for so many entries.
pub const MARK_EVERY: u64 = 64;
/// The most accounts of one user: what a page of a user's transfers merges.
pub const USER_ACCOUNTS_MAX: usize = 1_000;
/// The longest name of an API key, in characters: a line in a list.
pub const KEY_NAME_CHARS_MAX: usize = 100;
/// The most users, accounts or scopes that an API key names: each use looks through them.
pub const KEY_LISTED_MAX: usize = 100;
