//! The state of a work item's write-back.

/// Whether the hours of a work item are written in Azure DevOps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escrita {
    /// This deployment does not write hours, or the work item had no change since it does.
    Desligada,
    /// They will be written.
    Pendente,
    /// They are written.
    Ok,
    /// They cannot be written.
    Erro(MotivoDoErro),
}

impl Escrita {
    /// Returns the state that is stored as `text`: `desligada`, `pendente`, `ok` or the code of a reason.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        match text {
            "desligada" => Some(Self::Desligada),
            "pendente" => Some(Self::Pendente),
            "ok" => Some(Self::Ok),
            code => MotivoDoErro::from_code(code).map(Self::Erro),
        }
    }
}

/// The condition of a list on the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscritaFiltro {
    /// [`Escrita::Desligada`].
    Desligada,
    /// [`Escrita::Pendente`].
    Pendente,
    /// [`Escrita::Ok`].
    Ok,
    /// [`Escrita::Erro`], for any reason.
    Erro,
}

/// Why the hours of a work item cannot be written. Only a change, or a request to try again, starts another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MotivoDoErro {
    /// The work item does not exist, or the service cannot see it.
    Inexistente,
    /// The work item is in a state of the category Completed or Removed.
    Encerrado,
    /// A rule of the process does not allow the values.
    Regra,
    /// The service may not change the work item.
    SemPermissao,
    /// Azure DevOps failed in every attempt.
    SemResposta,
}

impl MotivoDoErro {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Inexistente, Self::Encerrado, Self::Regra, Self::SemPermissao, Self::SemResposta];

    /// Returns the code by which the reason is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Inexistente => "inexistente",
            Self::Encerrado => "encerrado",
            Self::Regra => "regra",
            Self::SemPermissao => "sem_permissao",
            Self::SemResposta => "sem_resposta",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|motivo| motivo.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_states_are_read_and_others_are_not() {
        for motivo in MotivoDoErro::ALL {
            assert_eq!(Escrita::from_stored(motivo.code()), Some(Escrita::Erro(motivo)));
        }
        assert_eq!(Escrita::from_stored("pendente"), Some(Escrita::Pendente));
        assert_eq!(Escrita::from_stored("erro"), None);
    }
}
