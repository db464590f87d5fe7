//! What can be done with projetos.

use std::sync::Arc;

use crate::{
    Clock, Error, NovoProjeto, Projeto, ProjetoId, ProjetoPatch, ProjetoRecord, ProjetoRepository, Resource, texto,
};

/// The use cases of projetos.
pub struct Projetos {
    repository: Arc<dyn ProjetoRepository>,
    clock: Arc<dyn Clock>,
}

impl Projetos {
    /// The use cases over `repository`, at the time of `clock`.
    #[must_use]
    pub fn new(repository: Arc<dyn ProjetoRepository>, clock: Arc<dyn Clock>) -> Self {
        Self { repository, clock }
    }

    /// Creates a projeto that exists only here.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn criar(&self, novo: NovoProjeto) -> Result<Projeto, Error> {
        let NovoProjeto { nome, descricao } = novo;
        let criado_em = self.clock.now();
        self.repository.insert(ProjetoRecord { id: ProjetoId::new(criado_em), nome, descricao, criado_em }).await
    }

    /// All projetos in the order of their names as a reader expects it: case and accents do not count, unless names
    /// differ in nothing else. It is made here and not in SQL, so that it is the same on every database and locale.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn listar(&self) -> Result<Vec<Projeto>, Error> {
        let mut projetos = self.repository.list().await?;
        projetos.sort_by_cached_key(|p| (texto::folded(p.nome.as_str()), p.nome.as_str().to_owned(), p.id));
        Ok(projetos)
    }

    /// The projeto with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: ProjetoId) -> Result<Projeto, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that are present.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when Azure DevOps owns it.
    pub async fn atualizar(&self, id: ProjetoId, patch: ProjetoPatch) -> Result<Projeto, Error> {
        self.repository.update(id, patch, self.clock.now()).await?.ok_or_else(|| not_found(id))
    }

    /// Deletes it for good.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when Azure DevOps owns it or an atividade belongs to it.
    pub async fn excluir(&self, id: ProjetoId) -> Result<(), Error> {
        if self.repository.delete(id).await? { Ok(()) } else { Err(not_found(id)) }
    }
}

fn not_found(id: ProjetoId) -> Error {
    Error::NotFound { resource: Resource::Projeto, id: id.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, fixed_clock, novo_projeto, projeto, projeto_id, stored_projeto};
    use crate::{Conflict, MockProjetoRepository};

    fn projetos(repository: MockProjetoRepository) -> Projetos {
        Projetos::new(Arc::new(repository), fixed_clock())
    }

    #[tokio::test]
    async fn criar_makes_a_projeto_that_exists_only_here() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_insert().returning(|record| Ok(stored_projeto(record)));

        let criado = projetos(repository).criar(novo_projeto("Interno")).await.unwrap();

        assert_eq!(criado.id.0.get_version_num(), 7);
        assert_eq!((criado.criado_em, criado.azure_project_id), (NOW, None));
    }

    #[tokio::test]
    async fn listar_orders_by_nome_as_a_reader_expects() {
        let mut repository = MockProjetoRepository::new();
        let names = ["Zebra", "área", "Alfa", "Ábaco", "abaco", "beta"];
        repository.expect_list().returning(move || Ok(names.map(projeto).to_vec()));

        let listed = projetos(repository).listar().await.unwrap();

        let listed: Vec<_> = listed.iter().map(|p| p.nome.as_str()).collect();
        assert_eq!(listed, ["abaco", "Ábaco", "Alfa", "área", "beta", "Zebra"]);
    }

    #[tokio::test]
    async fn excluir_refuses_projeto_with_atividades() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_delete().returning(|_| Err(Error::Conflict(Conflict::ProjetoComAtividades)));

        let refused = projetos(repository).excluir(projeto_id()).await.unwrap_err();

        assert!(matches!(refused, Error::Conflict(Conflict::ProjetoComAtividades)));
    }

    #[tokio::test]
    async fn what_does_not_exist_is_not_found() {
        let mut repository = MockProjetoRepository::new();
        repository.expect_find().returning(|_| Ok(None));
        repository.expect_update().returning(|_, _, _| Ok(None));
        repository.expect_delete().returning(|_| Ok(false));
        let projetos = projetos(repository);

        let failures = [
            projetos.obter(projeto_id()).await.unwrap_err(),
            projetos.atualizar(projeto_id(), ProjetoPatch::default()).await.unwrap_err(),
            projetos.excluir(projeto_id()).await.unwrap_err(),
        ];

        for failure in failures {
            assert!(matches!(failure, Error::NotFound { resource: Resource::Projeto, id } if id == projeto_id().0));
        }
    }
}
