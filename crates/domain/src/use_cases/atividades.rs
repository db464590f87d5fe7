//! What can be done with atividades.

use std::sync::Arc;

use crate::{
    Atividade, AtividadeId, AtividadePatch, AtividadeQuery, AtividadeRecord, AtividadeRepository, Clock, Error,
    NovaAtividade, Pagina, Resource, Usuario,
};

/// The use cases of atividades.
pub struct Atividades {
    repository: Arc<dyn AtividadeRepository>,
    clock: Arc<dyn Clock>,
}

impl Atividades {
    /// The use cases over `repository`, at the time of `clock`.
    #[must_use]
    pub fn new(repository: Arc<dyn AtividadeRepository>, clock: Arc<dyn Clock>) -> Self {
        Self { repository, clock }
    }

    /// Creates an atividade in the name of `autor`.
    ///
    /// # Errors
    /// `Invalid` on `id_projeto` when no projeto has that id.
    pub async fn criar(&self, autor: &Usuario, nova: NovaAtividade) -> Result<Atividade, Error> {
        self.repository.insert(AtividadeRecord::new(nova, autor, self.clock.now())).await
    }

    /// One page of the atividades that match, newest first.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn listar(&self, query: AtividadeQuery) -> Result<Pagina<Atividade>, Error> {
        self.repository.list(query).await
    }

    /// The atividade with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn obter(&self, id: AtividadeId) -> Result<Atividade, Error> {
        self.repository.find(id).await?.ok_or_else(|| not_found(id))
    }

    /// Changes the fields that are present.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` on `id_projeto` when no projeto has that id.
    pub async fn atualizar(&self, id: AtividadeId, patch: AtividadePatch) -> Result<Atividade, Error> {
        self.repository.update(id, patch, self.clock.now()).await?.ok_or_else(|| not_found(id))
    }

    /// Deletes it for good.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn excluir(&self, id: AtividadeId) -> Result<(), Error> {
        if self.repository.delete(id).await? { Ok(()) } else { Err(not_found(id)) }
    }
}

fn not_found(id: AtividadeId) -> Error {
    Error::NotFound { resource: Resource::Atividade, id: id.0 }
}

#[cfg(test)]
mod tests {
    use mockall::predicate::eq;

    use super::*;
    use crate::testing::{NOW, atividade_id, fixed_clock, maria, nova_atividade, stored};
    use crate::{MockAtividadeRepository, Violation};

    fn atividades(repository: MockAtividadeRepository) -> Atividades {
        Atividades::new(Arc::new(repository), fixed_clock())
    }

    #[tokio::test]
    async fn criar_stamps_author_and_time() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert().times(1).returning(|record| Ok(stored(record)));

        let criada = atividades(repository).criar(&maria(), nova_atividade("Revisar contrato")).await.unwrap();

        assert_eq!(criada.criado_por.as_deref(), Some("maria@exemplo.br"));
        assert_eq!((criada.criado_em, criada.atualizado_em), (NOW, NOW));
    }

    #[tokio::test]
    async fn criar_gives_every_atividade_an_id_of_its_own() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert().returning(|record| Ok(stored(record)));
        let atividades = atividades(repository);

        let first = atividades.criar(&maria(), nova_atividade("A")).await.unwrap();
        let second = atividades.criar(&maria(), nova_atividade("A")).await.unwrap();

        assert_ne!(first.id, second.id);
        assert_eq!(first.id.0.get_version_num(), 7);
    }

    #[tokio::test]
    async fn criar_refuses_an_unknown_projeto() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_insert().returning(|_| Err(Error::invalid("id_projeto", Violation::UnknownProjeto)));

        let refused = atividades(repository).criar(&maria(), nova_atividade("A")).await.unwrap_err();

        assert!(refused.is_unknown_projeto());
    }

    #[tokio::test]
    async fn atualizar_passes_the_time_on() {
        let mut repository = MockAtividadeRepository::new();
        let patch = AtividadePatch { ativo: Some(false), ..AtividadePatch::default() };
        repository
            .expect_update()
            .with(eq(atividade_id()), eq(patch.clone()), eq(NOW))
            .returning(|_, _, _| Err(Error::Conflict(crate::Conflict::ProjetoDoAzure)));

        let answer = atividades(repository).atualizar(atividade_id(), patch).await;

        assert!(matches!(answer, Err(Error::Conflict(_))));
    }

    #[tokio::test]
    async fn what_does_not_exist_is_not_found() {
        let mut repository = MockAtividadeRepository::new();
        repository.expect_find().returning(|_| Ok(None));
        repository.expect_update().returning(|_, _, _| Ok(None));
        repository.expect_delete().returning(|_| Ok(false));
        let atividades = atividades(repository);

        let failures = [
            atividades.obter(atividade_id()).await.unwrap_err(),
            atividades.atualizar(atividade_id(), AtividadePatch::default()).await.unwrap_err(),
            atividades.excluir(atividade_id()).await.unwrap_err(),
        ];

        for failure in failures {
            assert!(matches!(failure, Error::NotFound { resource: Resource::Atividade, id } if id == atividade_id().0));
        }
    }
}
