//! What every provider has to do alike.

use std::collections::BTreeSet;
use std::time::Duration;

use temps_providers::{Change, Listing, Provider, ProviderError, RecordSet, plan};
use temps_state::{ManagedRecord, RecordKind};

use crate::stand_in::{StandIn, Told};

pub const ZONE: &str = "example.com";
/// How many changes are asked for at a time where each takes a request.
pub const AT_ONCE: usize = 8;
/// Another one of the same account, where there is one.
pub const OTHER_ZONE: &str = "a.example";

/// A set from a line as in a zone file.
pub fn set(ttl: u32, text: &str) -> RecordSet {
    let mut words = text.split(' ');
    let name = words.next().unwrap().to_owned();
    let kind = RecordKind::read(words.next().unwrap()).unwrap();
    let values = match kind {
        RecordKind::Txt => [words.collect::<Vec<_>>().join(" ")].into(),
        _ => words.map(str::to_owned).collect(),
    };
    RecordSet { name, kind, ttl, values }
}

pub fn sets(ttl: u32, lines: &[&str]) -> Vec<RecordSet> {
    lines.iter().map(|line| set(ttl, line)).collect()
}

fn names(sets: &[RecordSet], managed: &BTreeSet<ManagedRecord>) -> BTreeSet<String> {
    let names = sets.iter().map(|set| &set.name);
    names.chain(managed.iter().map(|key| &key.name)).cloned().collect()
}

/// What is there of some sets.
pub async fn there(provider: &Provider, of: &[RecordSet]) -> Vec<RecordSet> {
    let listing = provider.list(ZONE, &names(of, &BTreeSet::new())).await.unwrap();
    listing.sets.into_values().map(|found| found.set).collect()
}

/// Brings a provider in step; gives what is the cluster's then.
pub async fn bring(
    provider: &Provider,
    wanted: &[RecordSet],
    managed: &BTreeSet<ManagedRecord>,
) -> (BTreeSet<ManagedRecord>, Vec<String>) {
    let found: Listing = provider.list(ZONE, &names(wanted, managed)).await.unwrap();
    let made = plan(wanted, &found, managed, &BTreeSet::new());
    provider.apply(ZONE, &made.changes).await.result().unwrap();
    (made.managed, made.foreign)
}

/// Creates, changes and deletes sets in a zone that has `www.example.com A 198.51.100.9` and an alias
/// `alias.example.com`, both somebody else's.
pub async fn tell(provider: &Provider) {
    let ttl = provider.ttl();
    let wanted = sets(
        ttl,
        &[
            "*.example.com A 192.0.2.1 192.0.2.2",
            "*.example.com AAAA 2001:db8::1",
            "_acme-challenge.example.com TXT a \"quoted\" text",
            "alias.example.com A 192.0.2.1",
            "example.com A 192.0.2.1 192.0.2.2 192.0.2.3",
            "www.example.com A 192.0.2.1",
        ],
    );
    let (managed, foreign) = bring(provider, &wanted, &BTreeSet::new()).await;
    assert_eq!(foreign, ["alias.example.com CNAME", "www.example.com A"]);
    let mut left: Vec<RecordSet> =
        wanted.iter().filter(|set| managed.contains(&set.key())).cloned().collect();
    assert_eq!(left.len(), 4);
    assert_eq!(there(provider, &left).await, left);

    // A node is lost, and nothing else changes.
    for set in &mut left {
        set.values.remove("192.0.2.1");
    }
    let (managed, _) = bring(provider, &left, &managed).await;
    assert_eq!(there(provider, &left).await, left);
    let again = provider.list(ZONE, &names(&left, &managed)).await.unwrap();
    assert_eq!(plan(&left, &again, &managed, &BTreeSet::new()).changes, []);

    // A long text, of several strings, takes the place of a short one.
    let text = left.iter_mut().find(|set| set.kind == RecordKind::Txt).unwrap();
    text.values = ["x".repeat(400)].into();
    let (managed, _) = bring(provider, &left, &managed).await;
    assert_eq!(there(provider, &left).await, left);

    let (managed, _) = bring(provider, &[], &managed).await;
    assert_eq!((managed.len(), there(provider, &left).await), (0, vec![]));
    let other = there(provider, &[set(ttl, "www.example.com A 0.0.0.0")]).await;
    assert_eq!(other[0].values, ["198.51.100.9".to_owned()].into(), "nobody touched it");
}

/// One change that the provider refuses keeps no other back, and none is made twice.
pub async fn tell_of_refusals(provider: &Provider, refused: RecordSet) {
    let ttl = provider.ttl();
    let good = sets(ttl, &["early.example.com A 192.0.2.1", "late.example.com A 192.0.2.1"]);
    let put = |set: &RecordSet| Change::Put { set: set.clone(), before: None };
    let outcome = provider.apply(ZONE, &[put(&good[0]), put(&refused), put(&good[1])]).await;
    assert_eq!(outcome.unmade, [refused.key()].into());
    let error = outcome.result().unwrap_err();
    assert!(matches!(error, ProviderError::Refused { .. }), "{error}");
    assert_eq!(there(provider, &good).await, good);
}

/// Many changes are asked for several at a time, and none any more once the provider asks to wait.
pub async fn tell_of_many<S: Send + 'static>(api: &StandIn<S>, provider: &Provider) {
    let name = |n: usize| format!("n{n}.example.com A 192.0.2.1");
    let sets: Vec<RecordSet> = (0..5 * AT_ONCE).map(|n| set(provider.ttl(), &name(n))).collect();
    let put = |set: &RecordSet| Change::Put { set: set.clone(), before: None };
    let changes: Vec<Change> = sets.iter().map(put).collect();
    let (first, later) = changes.split_at(3 * AT_ONCE);
    provider.check(&[ZONE.parse().unwrap()]).await.unwrap();
    api.gather(AT_ONCE);
    provider.apply(ZONE, first).await.result().unwrap();
    assert_eq!(api.most(), AT_ONCE);
    assert_eq!(there(provider, &sets).await.len(), first.len());

    let before = api.asked("P");
    let wait = || Told(429, vec![("retry-after", "17".into())], String::new());
    api.fail_all(wait);
    let outcome = provider.apply(ZONE, later).await;
    assert!((1..=AT_ONCE).contains(&(api.asked("P") - before)), "all at once, and then none");
    assert_eq!(outcome.unmade.len(), later.len());
    let error = outcome.result().unwrap_err();
    assert!(matches!(error, ProviderError::Limited { .. }), "{error}");
}

/// What the provider says is told as what it is; `unauthorized` is how it says that it does not let the cluster in.
pub async fn tell_of_errors<S: Send + 'static>(
    api: &StandIn<S>,
    provider: &Provider,
    unauthorized: impl IntoIterator<Item = Told>,
) {
    let fail = async |told| {
        api.fail(told);
        provider.list(ZONE, &BTreeSet::new()).await.unwrap_err()
    };
    for told in unauthorized {
        let error = fail(told).await;
        let tells = matches!(&error, ProviderError::Unauthorized { said, everywhere: false } if said != "it does not say why");
        assert!(tells, "{error}");
    }
    let wait = Some(Duration::from_secs(17));
    let limited = fail(Told(429, vec![("retry-after", "17".into())], String::new())).await;
    assert!(matches!(limited, ProviderError::Limited { wait: w } if w == wait), "{limited}");
    let broken = fail(Told(502, vec![], "<html>".into())).await;
    assert!(matches!(broken, ProviderError::Failing { .. }), "{broken}");
    let garbled = fail(Told(200, vec![], "no answer".into())).await;
    assert!(matches!(garbled, ProviderError::Garbled { .. }), "{garbled}");
    let unknown = provider.check(&["example.net".parse().unwrap()]).await.unwrap_err();
    assert!(matches!(unknown, ProviderError::ZoneUnknown { .. }), "{unknown}");
    provider.check(&[ZONE.parse().unwrap()]).await.unwrap();
}
