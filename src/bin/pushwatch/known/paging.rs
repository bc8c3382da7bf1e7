//! What a store gives in pages, as a stream of them.

use futures_util::{Stream, stream};

/// The pages that `fetch` gives, each with where the next one begins.
pub fn all_pages<P, C, E, F>(
    mut fetch: impl FnMut(Option<C>) -> F,
) -> impl Stream<Item = Result<P, E>>
where
    F: Future<Output = Result<(P, Option<C>), E>>,
{
    // The outer one is none after the last page, the inner one before the first.
    stream::try_unfold(Some(None), move |from| {
        let fetched = from.map(&mut fetch);
        async {
            let Some(fetched) = fetched else {
                return Ok(None);
            };
            let (page, next) = fetched.await?;
            Ok(Some((page, next.map(Some))))
        }
    })
}
