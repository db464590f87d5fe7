//! The use cases of work items.

mod projeto;
mod teams;

use std::sync::Arc;

pub(crate) use self::projeto::name_in_azure;
pub(crate) use self::teams::refusal as missing_refusal;
use crate::{
    Caller, Error, Organizacao, ProjetoRepository, ProjetoSelector, RefusalReason, WorkItem, WorkItemDirectory,
    WorkItemLimit, WorkItemSearch, WorkItemText, WorkItemTypes,
};

/// The project of Azure DevOps that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjetoConsultado {
    /// The organisation.
    pub organizacao: Organizacao,
    /// The projeto.
    pub projeto: ProjetoSelector,
}

/// A request to search for work items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuscaDeWorkItems {
    /// The id or the words.
    pub texto: WorkItemText,
    /// The organisation to search.
    pub organizacao: Organizacao,
    /// The only projeto to search.
    pub projeto: Option<ProjetoSelector>,
    /// The types to search.
    pub tipos: WorkItemTypes,
    /// The largest number of results.
    pub limit: WorkItemLimit,
}

/// The use cases of work items.
pub struct WorkItems {
    directory: Arc<dyn WorkItemDirectory>,
    projetos: Arc<dyn ProjetoRepository>,
    organizacao: Option<String>,
}

impl WorkItems {
    /// Builds the use cases from their ports. `organizacao` is the organisation that the deployment serves; without one,
    /// every name is taken.
    #[must_use]
    pub fn new(
        directory: Arc<dyn WorkItemDirectory>,
        projetos: Arc<dyn ProjetoRepository>,
        organizacao: Option<String>,
    ) -> Self {
        Self { directory, projetos, organizacao }
    }

    /// Returns the work items that the caller can see and that have the id or every word in the title.
    ///
    /// # Errors
    /// `Refused` for another organisation, and for a projeto that the caller cannot see; those of the repository and the
    /// directory.
    pub async fn buscar(&self, caller: &Caller, busca: BuscaDeWorkItems) -> Result<Vec<WorkItem>, Error> {
        let BuscaDeWorkItems { texto, organizacao, projeto, tipos, limit } = busca;
        let nome = projeto.as_ref().map(ToString::to_string);
        let projeto = match projeto {
            None => {
                self.check_organisation(&organizacao)?;
                None
            }
            Some(projeto) => Some(self.project_in_azure(&ProjetoConsultado { organizacao, projeto }).await?),
        };
        let search = WorkItemSearch { texto, projeto, tipos, limit };
        let found = self.directory.search(caller.credential.clone(), search).await?;
        found.ok_or_else(|| RefusalReason::UnknownProjeto(nome.unwrap_or_default()).into())
    }

    /// Returns the id or the name of the project in Azure DevOps.
    async fn project_in_azure(&self, onde: &ProjetoConsultado) -> Result<String, Error> {
        self.check_organisation(&onde.organizacao)?;
        let nome = name_in_azure(&*self.projetos, &onde.projeto).await?;
        nome.ok_or_else(|| RefusalReason::UnknownProjeto(onde.projeto.to_string()).into())
    }

    fn check_organisation(&self, organizacao: &Organizacao) -> Result<(), Error> {
        organizacao.refusal(self.organizacao.as_deref()).map_or(Ok(()), |reason| Err(reason.into()))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::{maria, nome_projeto, projeto, work_item};
    use crate::{MockProjetoRepository, MockWorkItemDirectory, Projeto, ProjetoRef, Refusal};

    const ID: Uuid = Uuid::from_u128(7);

    fn busca(organizacao: &str, projeto: Option<ProjetoSelector>) -> BuscaDeWorkItems {
        BuscaDeWorkItems {
            texto: WorkItemText::parse("tela").unwrap(),
            organizacao: Organizacao::parse(organizacao).unwrap(),
            projeto,
            tipos: WorkItemTypes::parse("Task").unwrap(),
            limit: WorkItemLimit::default(),
        }
    }

    /// Searches among `stored` projetos, and expects the directory to be asked about `searched` alone.
    async fn buscar(
        stored: Option<Projeto>,
        projeto: Option<ProjetoSelector>,
        searched: Option<&str>,
        found: Option<Vec<WorkItem>>,
    ) -> Result<Vec<WorkItem>, Error> {
        let (mut directory, mut projetos) = (MockWorkItemDirectory::new(), MockProjetoRepository::new());
        projetos.expect_find().returning(move |_| Ok(stored.clone()));
        let searched = searched.map(str::to_owned);
        directory
            .expect_search()
            .withf(move |credential, search| credential.is_some() && search.projeto == searched)
            .times(1)
            .return_once(|_, _| Ok(found));
        let work_items = WorkItems::new(Arc::new(directory), Arc::new(projetos), Some("exemplo".to_owned()));
        work_items.buscar(&maria(), busca("EXEMPLO", projeto)).await
    }

    fn refusal(error: &Error) -> &RefusalReason {
        match error {
            Error::Refused(refusals) => match refusals.as_slice() {
                [Refusal { item: None, reason }] => reason,
                other => panic!("{other:?}"),
            },
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn buscar_uses_the_name_of_a_local_projeto_and_the_id_of_any_other() {
        let id = || Some(ProjetoSelector::Id(ProjetoRef(ID)));
        let nome = Some(ProjetoSelector::Nome(nome_projeto("Loja")));
        let azure = Projeto { azure_project_id: crate::AzureProjectId::new(ID).ok(), ..projeto("Portal") };
        let id_text = ID.to_string();
        let cases = [
            (None, None, None),
            (None, nome, Some("Loja")),
            (Some(projeto("Portal")), id(), Some("Portal")),
            (Some(azure), id(), Some(id_text.as_str())),
            (None, id(), Some(id_text.as_str())),
        ];
        for (stored, projeto, searched) in cases {
            let found = buscar(stored, projeto, searched, Some(vec![work_item(41)])).await.unwrap();

            assert_eq!(found, [work_item(41)]);
        }
    }

    #[tokio::test]
    async fn buscar_in_an_unknown_projeto_is_refused() {
        let nome = ProjetoSelector::Nome(nome_projeto("Loja"));

        let error = buscar(None, Some(nome), Some("Loja"), None).await.unwrap_err();

        assert_eq!(refusal(&error), &RefusalReason::UnknownProjeto("Loja".to_owned()));
    }

    #[tokio::test]
    async fn buscar_in_another_organisation_asks_nobody() {
        let (directory, projetos) = (MockWorkItemDirectory::new(), MockProjetoRepository::new());
        let work_items = WorkItems::new(Arc::new(directory), Arc::new(projetos), Some("exemplo".to_owned()));

        let error = work_items.buscar(&maria(), busca("outra", None)).await.unwrap_err();

        let expected = RefusalReason::OtherOrganisation { served: "exemplo".to_owned(), sent: "outra".to_owned() };
        assert_eq!(refusal(&error), &expected);
    }
}
