//! Users and their credentials.

mod identity_provider;

pub use identity_provider::IdentityProvider;

#[cfg(any(test, feature = "mocks"))]
pub use identity_provider::MockIdentityProvider;

use secrecy::SecretString;

/// An authenticated person or service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usuario {
    /// The id: a GUID in Azure DevOps, a plain text for the development user.
    pub id: String,
    /// The display name.
    pub display_name: String,
    /// The e-mail address; service identities have none.
    pub email: Option<String>,
}

impl Usuario {
    /// Returns the value for `criado_por`: the e-mail address or, without one, the id.
    #[must_use]
    pub fn author(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.id)
    }
}

/// The credential of a request. Its `Debug` output hides the secrets.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `Authorization: Bearer`: a personal access token, an access token or an app token of the extension.
    Bearer {
        /// The token.
        token: SecretString,
        /// The user's access token, which the extension sends with an app token. Calls to Azure DevOps use it, and the
        /// organisation must accept it.
        azure_access_token: Option<SecretString>,
    },
    /// `Authorization: Basic`, as Azure DevOps itself accepts a personal access token.
    Basic {
        /// The personal access token.
        pat: SecretString,
    },
}

/// An authenticated caller. Calls to Azure DevOps on their behalf use only this credential.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user.
    pub usuario: Usuario,
    /// The credential; `None` if authentication is disabled.
    pub credential: Option<Credential>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::maria;

    #[test]
    fn author_without_email_is_the_id() {
        let maria = maria().usuario;
        let sem_email = Usuario { email: None, ..maria.clone() };

        assert_eq!(maria.author(), "maria@exemplo.br");
        assert_eq!(sem_email.author(), sem_email.id);
    }

    #[test]
    fn credential_debug_hides_every_token() {
        let credentials = [
            Credential::Bearer { token: "segredo".into(), azure_access_token: Some("segredo".into()) },
            Credential::Basic { pat: "segredo".into() },
        ];

        for credential in credentials {
            assert!(!format!("{credential:?}").contains("segredo"));
        }
    }
}
