//! Every kind of damage to the ledger has a name.

use crate::support::{Books, Fallible, On};
use daybook_core::{AccountId, Side, TransferId};

/// A transfer of each kind among the entries of three busy accounts.
struct Scene {
    books: Books,
    complete: TransferId,
    hold: TransferId,
    waiting: TransferId,
}

async fn scene() -> Fallible<Scene> {
    let books = super::statement::busy(On::Sqlite).await?;
    let complete = books.pay(1, 2, "7.00", "").await?;
    let hold = books.pay(1, 2, "3.00", r#","pending":true"#).await?;
    let waiting = books.pay(2, 1, "1.00", r#","execute_at":"2030-01-01""#).await?;
    books.account(r#"{"account_id":4,"overdraft_limit":"10.00"}"#).await?;
    books.pay(4, 3, "10.00", "").await?;
    books.verified().await?;
    Ok(Scene { books, complete, hold, waiting })
}

fn hex(id: uuid::Uuid) -> String {
    format!("x'{}'", id.simple())
}

/// What is done to the file and what is to be said about it.
type Case = (String, String);

fn case(damage: &str, expected: &str) -> Case {
    (damage.to_owned(), expected.to_owned())
}

/// Damages an account or its money.
fn of_accounts(equity: AccountId) -> Vec<Case> {
    vec![
        case(
            "update funds set balance = x'07' where account = 1",
            "the balance of 1 does not follow at",
        ),
        case(
            "update funds set balance = x'07' where account = 1",
            "the balances in USD do not add up to zero",
        ),
        case(
            "update funds set pending_out = x'00' where account = 1",
            "the holds of the account 1 are not those of its transfers",
        ),
        case(
            "update accounts set overdraft = x'00' where account = 4",
            "the account 4 is below its limit",
        ),
        case(
            "update accounts set version = 9 where account = 4",
            "the account 4 has no event of its version",
        ),
        case(
            "update accounts set overdraft = null where account = 4",
            "the account 4 has no event of its version",
        ),
        case(
            "update accounts set name = 'x' where account = 4",
            "the account 4 has no event of its version",
        ),
        case(
            "update accounts set status = 'closed' where account = 1",
            "the account 1 is closed and has money",
        ),
        case("delete from accounts where account = 4", "1 accounts have money and nothing else"),
        case(
            &format!("delete from funds where account = {equity}"),
            &format!("transfers name the account {equity}, which is not there"),
        ),
        case(
            &format!("update accounts set currency = 'EUR' where account = {equity}"),
            "the balances in EUR do not add up to zero",
        ),
    ]
}

/// Damages a complete transfer from account 1 to account 2.
fn of_transfer(id: TransferId) -> Vec<Case> {
    let row = hex(id.0);
    let item = id.item(Side::Debit);
    let differs = format!("says something else than {id} is");
    let changed = |what: &str, expected: &str| {
        case(&format!("update transfers set {what} where id = {row}"), expected)
    };
    let gone = format!("delete from transfers where id = {row}");
    vec![
        changed("amount = x'01'", "the balance of 2 does not follow at"),
        changed("amount = x'01'", &differs),
        changed("amount = x'01'", &format!("the item {item} differs from its transfer")),
        changed(
            "destination_balance = x'01'",
            &format!("the balance of 2 does not follow at {id}"),
        ),
        changed("source_previous = null", "the entries of the account 1 are not all of"),
        changed("source_previous = 1", "the statement of the account 1 breaks at 1"),
        changed("destination_earlier = null", "the list of the account 2 is not complete"),
        changed("source_earlier = 1", "the list of the account 1 breaks at 1"),
        changed("status = 'failed'", &differs),
        changed("is_shown = 0", &format!("who owns the accounts of {id} is another")),
        changed("currency = 'EUR'", &format!("{id} is in another currency than an account")),
        changed("rolls_back = randomblob(16)", &format!("what {id} undoes does not know of it")),
        changed("rolled_back_by = id", &format!("nothing undoes {id}, which says so")),
        changed("source = 77", "transfers name the account 77, which is not there"),
        case(&gone, &format!("an item shows the transfer {id}, which is not there")),
        case(&gone, "the account 1 counts other transfers than there are"),
    ]
}

/// Damages the feed items of a complete transfer.
fn of_items(id: TransferId) -> Vec<Case> {
    let [debit, credit] = [Side::Debit, Side::Credit].map(|side| id.item(side));
    let [paid, received] = [debit, credit].map(|item| hex(item.0));
    let differs = |item| format!("the item {item} differs from its transfer");
    let changed =
        |what: &str, item: &str| format!("update transactions set {what} where id = {item}");
    vec![
        case(
            &format!("delete from transactions where id = {paid}"),
            &format!("the debit item of the transfer {id} is missing"),
        ),
        case(&changed("amount = zeroblob(16)", &received), &differs(credit)),
        case(&changed("status = 'failed'", &received), &differs(credit)),
        case(&changed("transfer = null", &paid), &differs(debit)),
    ]
}

/// Damages what is held, what waits, and the marks.
fn of_others(hold: TransferId, waiting: TransferId) -> Vec<Case> {
    let mark = |which: &str| {
        format!(
            "account = 3 and sequence = 0 and number = \
             (select {which}(number) from marks where account = 3 and sequence = 0)"
        )
    };
    vec![
        case(
            &format!("update transfers set amount = x'01' where id = {}", hex(hold.0)),
            "the holds of the account 2 are not those of its transfers",
        ),
        case(
            &format!("update transfers set due = null where id = {}", hex(waiting.0)),
            &format!("the transfer {waiting} is due at another time"),
        ),
        case(&format!("delete from marks where {}", mark("max")), "should be there"),
        case(&format!("update marks set key = key + 1 where {}", mark("min")), "1 marks of"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damage_is_named() -> Fallible<()> {
    let Scene { books, complete, hold, waiting } = scene().await?;
    let equity = AccountId::equity(&books.holding(1).await?.account.currency);
    let cases =
        [of_accounts(equity), of_transfer(complete), of_items(complete), of_others(hold, waiting)];
    let folder = tempfile::tempdir()?;
    let whole = folder.path().join("whole.db");
    daybook_store::backup_file(&books.url, &whole, &|_, _| ()).await?;
    for (place, (damage, expected)) in cases.concat().iter().enumerate() {
        let file = folder.path().join(format!("{place}.db"));
        std::fs::copy(&whole, &file)?;
        let changed = rusqlite::Connection::open(&file)?.execute(damage, [])?;
        assert_eq!(changed, 1, "{damage}");
        let url = format!("sqlite:{}", file.display());
        let store = daybook_store::open(&url, Default::default()).await?;
        let found = store.verify_ledger().await?.differences;
        assert!(found.iter().all(|difference| difference.part == "ledger"));
        let named = found.iter().any(|difference| difference.what.contains(expected));
        assert!(named, "{damage}: {expected} is not in {found:?}");
        store.close().await;
        std::fs::remove_file(&file)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_check_names_what_the_check_of_the_ledger_does() -> Fallible<()> {
    let mut books = super::statement::busy(On::Sqlite).await?;
    books.store.close().await;
    books.file()?.execute("update funds set pending_in = x'01' where account = 2", [])?;
    books.reopen().await?;
    let ledger = books.store.verify_ledger().await?.differences;
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    assert_eq!(books.differences().await?, ledger);
    Ok(())
}
