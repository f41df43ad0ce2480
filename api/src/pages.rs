//! Lists in pages: `?limit=50&cursor=…`. A cursor names the last item seen, so that what is added or removed meanwhile moves nothing.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiError;
use crate::context::Shared;

/// Items of a page when the client does not say.
pub const PAGE_DEFAULT: usize = 50;
/// The most items of a page.
pub const PAGE_MAX: usize = 200;

#[derive(Debug, Deserialize)]
struct PageQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Which page is wanted.
#[derive(Debug)]
pub(crate) struct Paging {
    limit: usize,
    after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last one.
    pub next_cursor: Option<String>,
}

/// In which direction a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Rising,
    Falling,
}

impl Paging {
    /// The page of a sorted list; `key` is what it is sorted by.
    pub fn page<I, T>(
        &self,
        items: impl Iterator<Item = I>,
        order: Order,
        key: impl Fn(&I) -> String,
        show: impl FnMut(I) -> T,
    ) -> Page<T> {
        let passed = |item: &I| match (&self.after, order) {
            (None, _) => false,
            (Some(after), Order::Rising) => key(item) <= *after,
            (Some(after), Order::Falling) => key(item) >= *after,
        };
        let mut rest = items.skip_while(passed).peekable();
        let mut taken = Vec::with_capacity(self.limit.min(PAGE_MAX));
        while taken.len() < self.limit
            && let Some(item) = rest.next()
        {
            taken.push(item);
        }
        let last = taken.last().filter(|_| rest.peek().is_some());
        let next_cursor = last.map(|item| URL_SAFE_NO_PAD.encode(key(item)));
        Page { items: taken.into_iter().map(show).collect(), next_cursor }
    }
}

impl FromRequestParts<Shared> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, ApiError> {
        let limit_why = || format!("use a number from 1 to {PAGE_MAX}");
        let Query(query) = Query::<PageQuery>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::invalid("limit", limit_why()))?;
        let limit = query.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(ApiError::invalid("limit", limit_why()));
        }
        let after = query.cursor.map(|cursor| decode(&cursor)).transpose()?;
        Ok(Self { limit, after })
    }
}

fn decode(cursor: &str) -> Result<String, ApiError> {
    let octets = URL_SAFE_NO_PAD.decode(cursor).ok();
    octets
        .and_then(|octets| String::from_utf8(octets).ok())
        .ok_or_else(|| ApiError::invalid("cursor", "use the `next_cursor` of the page before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(mut items: Vec<u64>, order: Order, limit: usize) -> Vec<u64> {
        if order == Order::Falling {
            items.reverse();
        }
        let mut paging = Paging { limit, after: None };
        let mut seen = Vec::new();
        loop {
            let page = paging.page(items.iter(), order, |n| format!("{n:04}"), |n| *n);
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            match page.next_cursor {
                Some(cursor) => paging.after = Some(decode(&cursor).unwrap()),
                None => return seen,
            }
        }
    }

    #[test]
    fn pages_together_are_the_list() {
        for total in 0..12 {
            for limit in 1..5 {
                let items: Vec<u64> = (0..total).collect();
                assert_eq!(walk(items.clone(), Order::Rising, limit), items);
                let mut falling = walk(items.clone(), Order::Falling, limit);
                falling.reverse();
                assert_eq!(falling, items);
            }
        }
    }

    #[test]
    fn a_cursor_nobody_gave_is_refused() {
        assert!(decode("%%%").is_err());
    }
}
