//! Who is calling, and what they show for it.

mod identity_provider;

pub use identity_provider::IdentityProvider;

#[cfg(any(test, feature = "mocks"))]
pub use identity_provider::MockIdentityProvider;

use secrecy::SecretString;

/// A person or service whose identity was established.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usuario {
    /// The identity's id: a GUID at Azure DevOps, a plain text for the development user.
    pub id: String,
    /// The name to show.
    pub display_name: String,
    /// The e-mail address; service identities have none.
    pub email: Option<String>,
}

impl Usuario {
    /// What is written as the author of something new: the e-mail or, without one, the id.
    #[must_use]
    pub fn autor(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.id)
    }
}

/// What a caller shows to prove who they are. Its `Debug` hides the secrets.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `Authorization: Bearer`: a personal access token, an access token or an app token of the extension.
    Bearer {
        /// The token.
        token: SecretString,
        /// The user's access token, which the extension sends beside an app token: it proves the user to the
        /// organisation and serves the calls to Azure DevOps.
        azure_access_token: Option<SecretString>,
    },
    /// `Authorization: Basic`, the way Azure DevOps itself takes a personal access token.
    Basic {
        /// The personal access token.
        pat: SecretString,
    },
}

/// Who is calling, with what they showed: on their behalf, Azure DevOps is asked with it and with nothing else.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub usuario: Usuario,
    /// What they showed; nothing where nobody is asked.
    pub credential: Option<Credential>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::maria;

    #[test]
    fn autor_is_the_email_or_else_the_id() {
        let maria = maria().usuario;
        let sem_email = Usuario { email: None, ..maria.clone() };

        assert_eq!(maria.autor(), "maria@exemplo.br");
        assert_eq!(sem_email.autor(), sem_email.id);
    }

    #[test]
    fn debug_of_a_credential_hides_every_token() {
        let credentials = [
            Credential::Bearer { token: "segredo".into(), azure_access_token: Some("segredo".into()) },
            Credential::Basic { pat: "segredo".into() },
        ];

        for credential in credentials {
            assert!(!format!("{credential:?}").contains("segredo"));
        }
    }
}
