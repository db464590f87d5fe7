//! Caches that are bounded by the bytes of what they hold.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    Iteration, IterationId, IterationItems, Team, TeamSelector, Teams, TreeItem, TreeQuery, WorkItem, WorkItemId,
    WorkItemSearch, WorkItemTree,
};
use moka::future::Cache;

use super::teams::Found;
use crate::credential::Fingerprint;

/// How long work items are cached. The browser client asks twice on each load and after each save.
const TTL: Duration = Duration::from_secs(5);
/// What an entry of a cache takes besides its key and its value.
const ENTRY: usize = 256;

/// About how many bytes a value takes.
pub(super) trait Weight {
    fn weight(&self) -> usize;
}

/// Returns a cache whose entries take `capacity` bytes at most. A larger entry is not cached.
pub(super) fn weighed<K, V>(capacity: u64) -> Cache<K, V>
where
    K: Weight + Hash + Eq + Send + Sync + 'static,
    V: Weight + Clone + Send + Sync + 'static,
{
    let weigher = |key: &K, value: &V| u32::try_from(ENTRY + key.weight() + value.weight()).unwrap_or(u32::MAX);
    Cache::builder().max_capacity(capacity).weigher(weigher).time_to_live(TTL).build()
}

impl Weight for (Fingerprint, Box<[WorkItemId]>) {
    fn weight(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.1)
    }
}

impl Weight for (Fingerprint, WorkItemSearch) {
    fn weight(&self) -> usize {
        let WorkItemSearch { texto, projeto, tipos, limit: _ } = &self.1;
        let tipos: usize = tipos.as_slice().iter().map(|tipo| size_of::<String>() + tipo.len()).sum();
        size_of::<Self>() + texto.as_str().len() + projeto.as_ref().map_or(0, String::len) + tipos
    }
}

impl Weight for (Fingerprint, TreeQuery) {
    fn weight(&self) -> usize {
        let TreeQuery { projeto, iteration: _, ids } = &self.1;
        size_of::<Self>() + projeto.as_ref().map_or(0, String::len) + size_of_val(&**ids)
    }
}

impl Weight for (Fingerprint, String) {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.1.len()
    }
}

impl Weight for (Fingerprint, TeamSelector) {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.1.projeto.len()
    }
}

impl Weight for (Fingerprint, TeamSelector, IterationId) {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.1.projeto.len()
    }
}

impl<T: Weight> Weight for Found<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, |found| found.weight())
    }
}

impl<T: Weight> Weight for Vec<T> {
    fn weight(&self) -> usize {
        self.iter().map(Weight::weight).sum()
    }
}

impl Weight for Arc<[WorkItem]> {
    fn weight(&self) -> usize {
        self.iter().map(Weight::weight).sum()
    }
}

impl Weight for Option<Arc<[WorkItemId]>> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, |ids| size_of_val(&**ids))
    }
}

impl Weight for WorkItem {
    fn weight(&self) -> usize {
        let Self { titulo, tipo, estado, projeto, url, assigned_to, .. } = self;
        let texts = [titulo, tipo, estado, projeto, url].into_iter().chain(assigned_to);
        size_of::<Self>() + texts.map(String::len).sum::<usize>()
    }
}

impl Weight for WorkItemTree {
    fn weight(&self) -> usize {
        self.items.weight() + size_of_val(&*self.gaps)
    }
}

impl Weight for TreeItem {
    fn weight(&self) -> usize {
        size_of_val(&self.categoria) + self.item.weight()
    }
}

impl Weight for Teams {
    fn weight(&self) -> usize {
        self.teams.weight()
    }
}

impl Weight for Team {
    fn weight(&self) -> usize {
        let Self { nome, descricao, url, identity_url, projeto_nome, .. } = self;
        size_of::<Self>() + [nome, descricao, url, identity_url, projeto_nome].map(String::len).iter().sum::<usize>()
    }
}

impl Weight for Iteration {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.nome.len() + self.path.len() + self.url.len()
    }
}

impl Weight for IterationItems {
    fn weight(&self) -> usize {
        self.nome.len() + size_of_val(&*self.ids)
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::work_item;

    use super::*;
    use crate::credential::Fingerprints;

    #[tokio::test]
    async fn cache_holds_no_more_bytes_than_its_capacity() {
        let fingerprint = Fingerprints::new("exemplo").unwrap().of("pat", &"a".into());
        let cache = weighed::<(Fingerprint, Box<[WorkItemId]>), Arc<[WorkItem]>>(100 * 1024);
        let large: Arc<[WorkItem]> = vec![WorkItem { titulo: "á".repeat(256), ..work_item(41) }; 10].into();
        assert!(10 * (512 + size_of::<WorkItem>()) <= large.weight());

        for n in 1..=200 {
            cache.insert((fingerprint, [WorkItemId::new(n).unwrap()].into()), Arc::clone(&large)).await;
        }
        cache.run_pending_tasks().await;

        assert!(0 < cache.entry_count() && cache.weighted_size() <= 100 * 1024, "{}", cache.weighted_size());
        let huge: Arc<[WorkItem]> = vec![work_item(41); 1_000].into();
        let (key, expected) = ((fingerprint, Box::from([])), Arc::clone(&huge));
        assert_eq!(cache.get_with(key.clone(), async { huge }).await, expected);
        cache.run_pending_tasks().await;
        assert_eq!(cache.get(&key).await, None, "what is larger than the cache is returned and not kept");
    }
}
