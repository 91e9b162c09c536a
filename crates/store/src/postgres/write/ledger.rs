//! What a commit writes of the ledger.

use daybook_core::account::Overdraft;
use daybook_core::transfer::Leg;
use daybook_core::write_set::{AccountChange, Mark, Order, WriteSet};
use daybook_core::{Amount, EventSeq, Timestamp, Transfer, TransferId};

use super::{Known, Statement, column, number};
use crate::postgres::param::Atto;
use crate::{Error, Result};

/// The statements for accounts, their money, transfers and marks.
pub fn statements<'a>(
    write: &'a WriteSet,
    known: &impl Known,
    all: &mut Vec<Statement<'a>>,
) -> Result<()> {
    let reformed: Vec<&AccountChange> = write.accounts.iter().filter(|c| c.reformed).collect();
    if !reformed.is_empty() {
        all.push(accounts(&reformed, known)?);
    }
    let (opened, moved): (Vec<_>, Vec<_>) = write.accounts.iter().partition(|c| c.opened);
    if !opened.is_empty() {
        let sql = "insert into funds (account, balance, pending_in, pending_out, posted_last, \
             posted_count, posted_at, listed_last, listed_count) \
             select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        all.push(funds(sql, &opened));
    }
    if !moved.is_empty() {
        let sql = "update funds f set balance = n.balance, pending_in = n.pending_in, \
             pending_out = n.pending_out, posted_last = n.posted_last, \
             posted_count = n.posted_count, posted_at = n.posted_at, \
             listed_last = n.listed_last, listed_count = n.listed_count \
             from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) as n (account, balance, pending_in, \
             pending_out, posted_last, posted_count, posted_at, listed_last, listed_count) \
             where f.account = n.account";
        all.push(funds(sql, &moved));
    }
    let changed = write.transfers.iter().filter(|change| !change.is_new);
    let changed: Vec<i64> = changed.map(|change| change.transfer.number.0).collect();
    if !changed.is_empty() {
        let sql = "delete from transfers where number = any($1)";
        all.push(Statement::new(sql, vec![Box::new(changed)]));
    }
    if !write.transfers.is_empty() {
        all.push(transfers(write.transfers.iter().map(|change| &change.transfer).collect())?);
    }
    if !write.marks.is_empty() {
        all.push(marks(&write.marks));
    }
    Ok(())
}

fn accounts<'a>(changes: &[&'a AccountChange], known: &impl Known) -> Result<Statement<'a>> {
    let limit = |overdraft: Overdraft| match overdraft {
        Overdraft::Limit(limit) => Some(Atto::of(limit.atto())),
        Overdraft::Unlimited => None,
    };
    let mut owners = Vec::with_capacity(changes.len());
    for change in changes {
        let owner = change.holding.account.user_id.as_ref();
        owners.push(owner.map(|user| known.user(user)).transpose()?);
    }
    let each: Vec<_> = changes.iter().map(|change| &*change.holding.account).collect();
    Ok(Statement::new(
        "insert into accounts (account, \"user\", currency, digits, name, metadata, status, \
         overdraft, version, created_at, updated_at, seq) \
         select account, owner, currency, digits, name, metadata::json, status, overdraft, \
         version, created_at, updated_at, seq \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as new (account, owner, \
         currency, digits, name, metadata, status, overdraft, version, created_at, updated_at, \
         seq) \
         on conflict (account) do update set name = excluded.name, metadata = excluded.metadata, \
         status = excluded.status, overdraft = excluded.overdraft, version = excluded.version, \
         updated_at = excluded.updated_at, seq = excluded.seq",
        vec![
            Box::new(each.iter().map(|account| account.id.0).collect::<Vec<_>>()),
            Box::new(owners),
            Box::new(each.iter().map(|a| a.currency.code().to_owned()).collect::<Vec<_>>()),
            Box::new(each.iter().map(|a| a.currency.digits().into()).collect::<Vec<i16>>()),
            Box::new(each.iter().map(|account| account.name.clone()).collect::<Vec<_>>()),
            Box::new(each.iter().map(|account| account.metadata.to_string()).collect::<Vec<_>>()),
            Box::new(each.iter().map(|account| account.status.name()).collect::<Vec<_>>()),
            Box::new(each.iter().map(|account| limit(account.overdraft)).collect::<Vec<_>>()),
            Box::new(each.iter().map(|account| number(account.version)).collect::<Vec<_>>()),
            Box::new(each.iter().map(|account| account.created_at.micros()).collect::<Vec<_>>()),
            Box::new(each.iter().map(|a| a.updated_at.map(Timestamp::micros)).collect::<Vec<_>>()),
            Box::new(each.iter().map(|account| account.seq.0).collect::<Vec<_>>()),
        ],
    ))
}

fn funds<'a>(sql: &'static str, changes: &[&'a AccountChange]) -> Statement<'a> {
    let mut accounts = Vec::with_capacity(changes.len());
    let mut amounts = [const { Vec::new() }; 3];
    let mut last = [const { Vec::new() }; 2];
    let mut counts = [const { Vec::new() }; 2];
    let mut posted_at = Vec::with_capacity(changes.len());
    for change in changes {
        let funds = &change.holding.funds;
        accounts.push(change.holding.account.id.0);
        let [balance, pending_in, pending_out] = &mut amounts;
        balance.push(Atto::of(funds.balance.atto()));
        pending_in.push(Atto::of(funds.pending_in.atto()));
        pending_out.push(Atto::of(funds.pending_out.atto()));
        let ([posted, listed], [posted_count, listed_count]) = (&mut last, &mut counts);
        posted.push(funds.posted.last.map(|seq| seq.0));
        listed.push(funds.listed.last.map(|seq| seq.0));
        posted_count.push(i64::try_from(funds.posted.count).unwrap_or(i64::MAX));
        listed_count.push(i64::try_from(funds.listed.count).unwrap_or(i64::MAX));
        posted_at.push(funds.posted_at.micros());
    }
    let [balance, pending_in, pending_out] = amounts;
    let ([posted, listed], [posted_count, listed_count]) = (last, counts);
    Statement::new(
        sql,
        vec![
            Box::new(accounts),
            Box::new(balance),
            Box::new(pending_in),
            Box::new(pending_out),
            Box::new(posted),
            Box::new(posted_count),
            Box::new(posted_at),
            Box::new(listed),
            Box::new(listed_count),
        ],
    )
}

fn transfers(transfers: Vec<&Transfer>) -> Result<Statement<'_>> {
    let mut errors = Vec::with_capacity(transfers.len());
    for transfer in &transfers {
        let error = transfer.last_error.as_ref().map(serde_json::to_string).transpose();
        errors.push(error.map_err(|error| Error::Driver(error.into()))?);
    }
    let rows = transfers.as_slice();
    macro_rules! each {
        ($value:expr) => {
            Box::new(rows.iter().map(|transfer| $value(*transfer)).collect::<Vec<_>>())
        };
    }
    let time = |at: Option<Timestamp>| at.map(Timestamp::micros);
    let seq = |seq: Option<EventSeq>| seq.map(|seq| seq.0);
    let id = |id: Option<TransferId>| id.map(|id| id.0);
    let held = |held: Option<Amount>| held.map(|held| Atto::of(held.atto()));
    let source = |t: &Transfer| t.posting.map(|posting| posting.source);
    let destination = |t: &Transfer| t.posting.map(|posting| posting.destination);
    let balance = |leg: Option<Leg>| leg.map(|leg| Atto::of(leg.balance.atto()));
    let previous = |leg: Option<Leg>| seq(leg.and_then(|leg| leg.previous));
    Ok(Statement::new(
        "insert into transfers (number, id, status, source, destination, currency, digits, \
         amount, held, reference, metadata, expires_in, expires_at, execute_at, rolls_back, \
         rolled_back_by, retry_count, last_error, last_attempt, next_attempt, posted_at, \
         source_balance, source_previous, destination_balance, destination_previous, is_shown, \
         source_earlier, destination_earlier, version, created_at, updated_at, seq, due) \
         select number, id, status, source, destination, currency, digits, amount, held, \
         reference, metadata::json, expires_in, expires_at, execute_at, rolls_back, \
         rolled_back_by, retry_count, last_error, last_attempt, next_attempt, posted_at, \
         source_balance, source_previous, destination_balance, destination_previous, is_shown, \
         source_earlier, destination_earlier, version, created_at, updated_at, seq, due \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
         $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33) \
         as new (number, id, status, source, destination, currency, digits, amount, held, \
         reference, metadata, expires_in, expires_at, execute_at, rolls_back, rolled_back_by, \
         retry_count, last_error, last_attempt, next_attempt, posted_at, source_balance, \
         source_previous, destination_balance, destination_previous, is_shown, source_earlier, \
         destination_earlier, version, created_at, updated_at, seq, due)",
        vec![
            each!(|t: &Transfer| t.number.0),
            each!(|t: &Transfer| t.id.0),
            each!(|t: &Transfer| t.status.name()),
            each!(|t: &Transfer| t.source.0),
            each!(|t: &Transfer| t.destination.0),
            each!(|t: &Transfer| t.currency.code().to_owned()),
            each!(|t: &Transfer| i16::from(t.currency.digits())),
            each!(|t: &Transfer| Atto::of(t.amount.atto())),
            each!(|t: &Transfer| held(t.held)),
            each!(|t: &Transfer| t.reference.clone()),
            each!(|t: &Transfer| t.metadata.to_string()),
            each!(|t: &Transfer| t.expires_in_us),
            each!(|t: &Transfer| time(t.expires_at)),
            each!(|t: &Transfer| time(t.execute_at)),
            each!(|t: &Transfer| id(t.rolls_back)),
            each!(|t: &Transfer| id(t.rolled_back_by)),
            each!(|t: &Transfer| number(t.retry_count)),
            Box::new(errors),
            each!(|t: &Transfer| time(t.last_attempt)),
            each!(|t: &Transfer| time(t.next_attempt)),
            each!(|t: &Transfer| time(t.posting.map(|posting| posting.at))),
            each!(|t: &Transfer| balance(source(t))),
            each!(|t: &Transfer| previous(source(t))),
            each!(|t: &Transfer| balance(destination(t))),
            each!(|t: &Transfer| previous(destination(t))),
            each!(|t: &Transfer| t.is_shown),
            each!(|t: &Transfer| {
                let [earlier, _] = t.earlier;
                seq(earlier)
            }),
            each!(|t: &Transfer| {
                let [_, earlier] = t.earlier;
                seq(earlier)
            }),
            each!(|t: &Transfer| number(t.version)),
            each!(|t: &Transfer| t.created_at.micros()),
            each!(|t: &Transfer| time(t.updated_at)),
            each!(|t: &Transfer| t.seq.0),
            each!(|t: &Transfer| time(t.due())),
        ],
    ))
}

fn marks(marks: &[Mark]) -> Statement<'_> {
    Statement::new(
        "insert into marks (account, sequence, key, number) select * from unnest($1, $2, $3, $4)",
        vec![
            column(marks, |mark| mark.account.0),
            column(marks, |mark| sequence(mark.order)),
            column(marks, |mark| mark.key),
            column(marks, |mark| mark.number.0),
        ],
    )
}

/// The number under which an order of transfers is kept.
pub fn sequence(order: Order) -> i16 {
    match order {
        Order::Posted => 0,
        Order::Listed => 1,
    }
}
