//! Sample work items, so that time entries and the timesheet can be tried without Azure DevOps.

use std::collections::{BTreeMap, BTreeSet};

use adapters_sqlite::{HoursRevision, SqliteSampleHours};
use async_trait::async_trait;
use domain::{
    Credential, Error, Iteration, IterationId, IterationItems, Missing, StateCategory, TeamSelector, Teams, TreeItem,
    TreeQuery, WorkItem, WorkItemDirectory, WorkItemId, WorkItemSearch, WorkItemStates, WorkItemTree, search_key,
};

use super::planning;

pub const PORTAL: &str = "Portal do Cliente";
pub const CAMPO: &str = "Aplicativo de Campo";
pub const ADMINISTRACAO: &str = "Administração Interna";

/// Id, parent, project, type, state and title, and the hours without time entries: estimated, left and done.
type Sample = (i64, Option<i64>, &'static str, &'static str, &'static str, &'static str, Option<[f64; 3]>);

/// An epic with all that is below it, a story of another project, and a task outside any story.
const SAMPLES: [Sample; 10] = [
    (101, None, PORTAL, "Epic", "Active", "Novo portal do cliente", None),
    (102, Some(101), PORTAL, "Feature", "Active", "Pedidos pela internet", None),
    (103, Some(102), PORTAL, "User Story", "Active", "Acompanhar meus pedidos", None),
    (104, Some(103), PORTAL, "Task", "Active", "Desenvolver tela de pedidos", Some([16.0, 14.0, 2.0])),
    (105, Some(103), PORTAL, "Task", "New", "Revisar contrato de suporte", Some([4.0, 4.0, 0.0])),
    (106, Some(103), PORTAL, "Task", "Closed", "Migrar base legada", Some([24.0, 0.0, 24.0])),
    (107, None, CAMPO, "User Story", "Active", "Trabalhar sem rede", None),
    (108, Some(107), CAMPO, "Task", "Active", "Testar sincronização sem rede", Some([8.0, 5.5, 2.5])),
    (109, Some(107), CAMPO, "Bug", "Resolved", "Foto grande não é enviada", Some([4.0, 4.0, 0.0])),
    (110, None, ADMINISTRACAO, "Task", "Active", "Treinamento da equipe", None),
];

/// The person to whom the tasks and bugs are assigned: the user of `aponta dev`.
const ASSIGNED_TO: &str = "Dev User";

/// The states of every type.
const STATES: [(&str, StateCategory); 5] = [
    ("New", StateCategory::Proposed),
    ("Active", StateCategory::InProgress),
    ("Resolved", StateCategory::Resolved),
    ("Closed", StateCategory::Completed),
    ("Removed", StateCategory::Removed),
];

/// The work items of the sample projects. Every caller sees all of them.
pub struct SampleWorkItems {
    samples: Vec<WorkItem>,
    pub(super) hours: SqliteSampleHours,
}

impl SampleWorkItems {
    /// Returns the sample work items, whose hours change by `hours`.
    ///
    /// # Errors
    /// `Internal` if a sample breaks a rule of the domain.
    pub fn new(hours: SqliteSampleHours) -> Result<Self, Error> {
        let samples = SAMPLES.iter().map(work_item).collect::<Result<_, _>>()?;
        Ok(Self { samples, hours })
    }

    /// Returns all work items with their current hours, and the revision of each.
    pub(super) async fn revisions(&self) -> Result<Vec<(i64, WorkItem)>, Error> {
        let written = self.hours.latest().await?;
        let mut written: BTreeMap<_, _> = written.into_iter().map(|latest| (latest.work_item, latest)).collect();
        let current = |item: &WorkItem| match written.remove(&item.id) {
            None => (1, item.clone()),
            Some(HoursRevision { rev, completed_work, remaining_work, .. }) => {
                (rev, WorkItem { completed_work, remaining_work, ..item.clone() })
            }
        };
        Ok(self.samples.iter().map(current).collect())
    }

    async fn items(&self) -> Result<Vec<WorkItem>, Error> {
        Ok(self.revisions().await?.into_iter().map(|(_, item)| item).collect())
    }
}

fn work_item(&(id, parent, projeto, tipo, estado, titulo, hours): &Sample) -> Result<WorkItem, Error> {
    let id_of = |id| WorkItemId::new(id).map_err(Error::internal);
    let is_assigned = matches!(tipo, "Task" | "Bug");
    let [original_estimate, remaining_work, completed_work] = hours.map_or([None; 3], |hours| hours.map(Some));
    Ok(WorkItem {
        id: id_of(id)?,
        titulo: titulo.to_owned(),
        tipo: tipo.to_owned(),
        estado: estado.to_owned(),
        projeto: projeto.to_owned(),
        url: String::new(),
        parent: parent.map(id_of).transpose()?,
        assigned_to: is_assigned.then(|| ASSIGNED_TO.to_owned()),
        original_estimate,
        remaining_work,
        completed_work,
    })
}

#[async_trait]
impl WorkItemDirectory for SampleWorkItems {
    async fn find(&self, _: Option<Credential>, id: WorkItemId) -> Result<Option<WorkItem>, Error> {
        Ok(self.items().await?.into_iter().find(|item| item.id == id))
    }

    async fn find_many(&self, _: Option<Credential>, ids: Vec<WorkItemId>) -> Result<Vec<WorkItem>, Error> {
        let mut items: BTreeMap<_, _> = self.items().await?.into_iter().map(|item| (item.id, item)).collect();
        Ok(ids.iter().filter_map(|id| items.remove(id)).collect())
    }

    async fn search(&self, _: Option<Credential>, search: WorkItemSearch) -> Result<Option<Vec<WorkItem>>, Error> {
        let WorkItemSearch { texto, projeto, tipos, limit } = search;
        let text = search_key(texto.as_str());
        let is_named = |item: &WorkItem| {
            let title = search_key(&item.titulo);
            item.id.to_string() == text || text.split_whitespace().all(|word| title.contains(word))
        };
        let is_same = |one: &str, other: &str| search_key(one) == search_key(other);
        let is_in_project = |item: &WorkItem| projeto.as_ref().is_none_or(|projeto| is_same(&item.projeto, projeto));
        let tipos = tipos.as_slice();
        let has_type = |item: &WorkItem| tipos.is_empty() || tipos.iter().any(|tipo| is_same(&item.tipo, tipo));
        let found = self.items().await?.into_iter().filter(is_named).filter(is_in_project).filter(has_type);
        Ok(Some(found.take(limit.get()).collect()))
    }

    async fn states(&self, _: Option<Credential>, _: String, _: String) -> Result<WorkItemStates, Error> {
        Ok(states())
    }

    async fn teams(&self, _: Option<Credential>, projeto: String) -> Result<Result<Teams, Missing>, Error> {
        Ok(Ok(planning::teams(&projeto)))
    }

    async fn iterations(
        &self,
        _: Option<Credential>,
        team: TeamSelector,
    ) -> Result<Result<Vec<Iteration>, Missing>, Error> {
        Ok(planning::iterations(&team))
    }

    async fn iteration_items(
        &self,
        _: Option<Credential>,
        team: TeamSelector,
        iteration: IterationId,
    ) -> Result<Result<IterationItems, Missing>, Error> {
        let found = planning::iterations(&team);
        Ok(found.and_then(|all| all.into_iter().find(|one| one.id == iteration).ok_or(Missing::Iteration)).map(
            |Iteration { nome, .. }| {
                let items = self.samples.iter().filter(|item| is_in_sprint(item) && is_of(item, &team.projeto));
                IterationItems { nome, ids: items.map(|item| item.id).collect() }
            },
        ))
    }

    async fn tree(
        &self,
        credential: Option<Credential>,
        query: TreeQuery,
    ) -> Result<Result<WorkItemTree, Missing>, Error> {
        let TreeQuery { projeto, iteration, ids } = query;
        let projeto = projeto.unwrap_or_default();
        if let Some((team, id)) = iteration {
            let team = TeamSelector { projeto: projeto.clone(), team };
            if let Err(missing) = self.iteration_items(credential, team, id).await? {
                return Ok(Err(missing));
            }
        }
        let is_shown = |item: &&WorkItem| {
            let is_assigned = item.assigned_to.is_some() && is_of(item, &projeto);
            ids.contains(&item.id) || (is_assigned && (iteration.is_none() || is_in_sprint(item)))
        };
        let all = self.items().await?;
        let mut shown: BTreeSet<_> = all.iter().filter(is_shown).map(|item| item.id).collect();
        let above = all.iter().filter(|item| shown.contains(&item.id)).flat_map(|item| self.above(item));
        let above: Vec<_> = above.collect();
        shown.extend(above);
        let shown = all.into_iter().filter(|item| shown.contains(&item.id));
        let states = states();
        let items = shown.map(|item| TreeItem { categoria: states.category(&item.estado), item }).collect();
        Ok(Ok(WorkItemTree { items, gaps: Vec::new() }))
    }
}

impl SampleWorkItems {
    /// Returns the ids of the items above `item`.
    fn above(&self, item: &WorkItem) -> Vec<WorkItemId> {
        let parent = |id: &WorkItemId| self.samples.iter().find(|item| item.id == *id)?.parent;
        std::iter::successors(item.parent, parent).collect()
    }
}

pub(super) fn states() -> WorkItemStates {
    STATES.into_iter().map(|(name, category)| (name.to_owned(), category)).collect()
}

fn is_of(item: &WorkItem, projeto: &str) -> bool {
    search_key(&item.projeto) == search_key(projeto)
}

/// The sprint has what is not finished, without epics and features.
fn is_in_sprint(item: &WorkItem) -> bool {
    !matches!(item.tipo.as_str(), "Epic" | "Feature") && item.estado != "Closed"
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use adapters_sqlite::SqliteDatabase;
    use domain::{WorkItemLimit, WorkItemText, WorkItemTypes};

    use super::*;

    /// A directory that is removed on drop.
    pub struct Directory(PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            // A leftover is in the temporary directory of the system.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    pub async fn given_samples() -> (SampleWorkItems, Directory) {
        let directory = Directory(std::env::temp_dir().join(format!("aponta-dev-{}", uuid::Uuid::now_v7())));
        let database = SqliteDatabase::open(&directory.0).await.unwrap();
        (SampleWorkItems::new(SqliteSampleHours::new(&database)).unwrap(), directory)
    }

    fn id(id: i64) -> WorkItemId {
        WorkItemId::new(id).unwrap()
    }

    #[tokio::test]
    async fn samples_have_unique_ids_known_states_and_parents_above_them() {
        let (samples, _directory) = given_samples().await;
        let states = samples.states(None, String::new(), String::new()).await.unwrap();

        for item in &samples.samples {
            assert!(states.category(&item.estado).is_some(), "{item:?}");
            if let Some(parent) = item.parent {
                let parent = samples.find(None, parent).await.unwrap().unwrap();
                assert!(parent.id < item.id && parent.projeto == item.projeto, "{item:?}");
            }
        }
        assert!(samples.samples.is_sorted_by(|one, next| one.id < next.id));
        assert!(samples.samples.iter().any(|item| states.category(&item.estado).is_some_and(StateCategory::is_closed)));
    }

    #[tokio::test]
    async fn search_finds_by_id_or_words_within_project_and_types() {
        let (samples, _directory) = given_samples().await;
        let search = async |texto: &str, projeto: Option<&str>, tipos: &str| {
            let search = WorkItemSearch {
                texto: WorkItemText::parse(texto).unwrap(),
                projeto: projeto.map(str::to_owned),
                tipos: WorkItemTypes::parse(tipos).unwrap(),
                limit: WorkItemLimit::parse(2).unwrap(),
            };
            let found = samples.search(None, search).await.unwrap().unwrap();
            found.iter().map(|item| item.id.get()).collect::<Vec<_>>()
        };

        assert_eq!(search("104", None, "").await, [104]);
        assert_eq!(search("PEDIDOS tela", None, "").await, [104]);
        assert_eq!(search("sincronizacao", Some("aplicativo de CAMPO"), "task,Bug").await, [108]);
        assert!(search("sincronizacao", Some(PORTAL), "").await.is_empty());
        assert_eq!(search("pedidos", None, "").await, [102, 103]);
        assert_eq!(search("pedidos", None, "Task").await, [104]);
    }

    #[tokio::test]
    async fn tree_has_assigned_items_of_the_projeto_or_sprint_and_all_above_them() {
        let (samples, _directory) = given_samples().await;
        let team = planning::teams(PORTAL).default;
        let sprint = planning::iterations(&TeamSelector { projeto: PORTAL.to_owned(), team }).unwrap()[0].id;
        let tree = async |iteration, ids: &[i64]| {
            let ids = ids.iter().map(|&n| id(n)).collect();
            let query = TreeQuery { projeto: Some("portal do cliente".to_owned()), iteration, ids };
            let tree = samples.tree(None, query).await.unwrap().unwrap();
            tree.items.iter().map(|item| item.item.id.get()).collect::<Vec<_>>()
        };

        assert_eq!(tree(None, &[]).await, [101, 102, 103, 104, 105, 106]);
        assert_eq!(tree(Some((team, sprint)), &[]).await, [101, 102, 103, 104, 105]);
        assert_eq!(tree(Some((None, sprint)), &[108, 7]).await, [101, 102, 103, 104, 105, 107, 108]);

        let unknown = IterationId(uuid::Uuid::nil());
        let query = TreeQuery { projeto: Some(PORTAL.to_owned()), iteration: Some((team, unknown)), ids: vec![] };
        assert_eq!(samples.tree(None, query).await.unwrap(), Err(Missing::Iteration));
    }

    #[tokio::test]
    async fn items_are_found_once_each_in_the_order_of_the_ids() {
        let (samples, _directory) = given_samples().await;

        let found = samples.find_many(None, vec![id(108), id(7), id(101), id(108)]).await.unwrap();

        assert_eq!(found.iter().map(|item| item.id.get()).collect::<Vec<_>>(), [108, 101]);
        assert_eq!(samples.find(None, id(7)).await.unwrap(), None);
    }
}
