use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::id::EventSeq;
use crate::kind;
use crate::money::Currencies;
use crate::transaction::Vocabulary;

fn now() -> Timestamp {
    Timestamp::parse("2025-06-30T15:20:30.5Z").expect("a time")
}

fn one_user() -> Users {
    Users::new(UserId::parse("test_user_123").expect("a user id"), Vec::new())
}

fn sampler(seed: u64) -> Sampler {
    Sampler::new(seed, one_user(), now())
}

fn year(users: u32, total: u64) -> Vec<NewTransaction> {
    let users = Users::numbered("user_", users).expect("user ids");
    Sampler::new(11, users, now()).oldest_first(total).collect()
}

fn share(items: &[NewTransaction], fits: impl Fn(&NewTransaction) -> bool) -> usize {
    items.iter().filter(|item| fits(item)).count() * 1_000 / items.len()
}

#[test]
fn every_item_is_what_its_own_body_says() {
    let vocabulary = Vocabulary::default();
    let mut types = HashSet::new();
    let in_order = year(7, 6_000).into_iter();
    let with_source = sampler(3).source("sample").take(4_000);
    for item in in_order.chain(with_source) {
        let body = body(&item);
        let parsed = NewTransaction::parse(&body, item.id, None, &vocabulary);
        assert_eq!(parsed.as_ref(), Ok(&item), "{body}");
        types.insert(item.transaction_type);
    }
    assert_eq!(types.len(), TransactionType::ALL.len());
}

#[test]
fn the_same_seed_makes_the_same_items_and_another_one_others() {
    let bodies = |seed| sampler(seed).oldest_first(200).map(|item| (item.id, body(&item)));
    assert!(bodies(1).eq(bodies(1)));
    assert!(!bodies(1).eq(bodies(2)));
    insta::assert_snapshot!(
        bodies(1).take(12).map(|(_, body)| body).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn items_come_oldest_first_and_exactly_as_many_as_asked_for() {
    let year_ago = Timestamp::from_micros(now().micros() - 365 * US_PER_DAY);
    for (users, total) in [(1, 0), (1, 1), (1, 80), (1, 1_000), (50, 1_000), (3, 70_000)] {
        let items = year(users, total);
        assert_eq!(u64::try_from(items.len()), Ok(total));
        assert!(items.is_sorted_by_key(|item| item.created_at), "{total}");
        let within = |at| (Some(year_ago)..Some(now())).contains(&at);
        assert!(items.iter().all(|item| within(item.created_at)));
    }
}

#[test]
fn ids_are_unique_and_sort_by_time() {
    let items = year(5, 50_000);
    let ids: HashSet<TransactionId> = items.iter().map(|item| item.id).collect();
    assert_eq!(ids.len(), items.len());
    assert!(
        items
            .windows(2)
            .all(|two| { two[0].created_at == two[1].created_at || two[0].id < two[1].id })
    );
    assert!(items.iter().all(|item| item.id.0.get_version_num() == 7));
}

#[test]
fn the_mix_is_that_of_a_real_feed() {
    let items = year(200, 60_000);
    let completed = share(&items, |item| item.status == Status::Completed);
    assert!((900..=940).contains(&completed), "{completed}");
    for status in Status::ALL {
        assert!(items.iter().any(|item| item.status == *status), "{status}");
    }
    let usual = share(&items, |item| ["USD", "EUR", "GBP"].contains(&item.currency.code()));
    assert!((850..=980).contains(&usual), "{usual}");
    for code in ["JPY", "KWD", "BTC", "ETH"] {
        assert!(items.iter().any(|item| item.currency.code() == code), "{code}");
    }
    let cards = share(&items, |item| item.transaction_type == TransactionType::Card);
    assert!((500..=700).contains(&cards), "{cards}");
    let refund = |item: &NewTransaction| item.metadata.text("operation") == Some("refund");
    assert!(share(&items, refund) > 5);
    let credits = share(&items, |item| item.side == Side::Credit);
    assert!((120..=350).contains(&credits), "{credits}");
}

#[test]
fn currencies_have_the_digits_that_the_books_know() {
    let known = Currencies::default();
    for item in sampler(8).take(20_000) {
        assert_eq!(known.get(item.currency.code()), Some(item.currency));
        assert!(item.amount.atto() > 0);
    }
}

#[test]
fn a_salary_comes_once_a_month_from_the_same_employer() {
    let items: Vec<NewTransaction> = sampler(1).oldest_first(1_000).collect();
    let mut salaries: BTreeMap<String, usize> = BTreeMap::new();
    let mut employers = HashSet::new();
    for item in items.iter().filter(|i| i.metadata.text("earnings_type") == Some("salary")) {
        *salaries.entry(item.metadata.text("period").expect("a month").to_owned()).or_default() +=
            1;
        employers.insert(item.metadata.text("employer").expect("an employer").to_owned());
    }
    assert_eq!(employers.len(), 1);
    assert!((12..=13).contains(&salaries.len()) && salaries.values().all(|count| *count == 1));
}

#[test]
fn a_refund_gives_back_what_a_purchase_took() {
    let items = year(3, 20_000);
    let text = |item: &NewTransaction, name| item.metadata.text(name).map(str::to_owned);
    for refund in items.iter().filter(|item| text(item, "operation").as_deref() == Some("refund")) {
        assert_eq!(refund.side, Side::Credit);
        assert!(items.iter().any(|item| {
            item.user_id == refund.user_id
                && item.created_at < refund.created_at
                && (item.amount, item.currency) == (refund.amount, refund.currency)
                && text(item, "merchant_name") == text(refund, "merchant_name")
                && item.status == Status::Completed
        }));
    }
}

#[test]
fn almost_every_sample_is_shown_with_a_category() {
    let items = year(40, 20_000);
    let other = share(&items, |item| {
        let item = item.clone().record(now(), EventSeq(1));
        let display = kind::of(item.transaction_type).display(&item);
        assert!(!display.title.contains(['*', '#']), "{}", display.title);
        display.category == "other"
    });
    assert!(other < 20, "{other}");
}

#[test]
fn many_users_share_the_items() {
    let items = year(100, 5_000);
    let users: HashSet<&UserId> = items.iter().map(|item| &item.user_id).collect();
    assert_eq!(users.len(), 100);
    assert!(Users::numbered("two\nlines ", 1).is_err());
}
