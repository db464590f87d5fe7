//! `/api/v1/user`.

use apistos::{ApiComponent, api_operation};
use domain::Usuario;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ApiError;
use crate::middleware::authentication::CurrentUser;
use crate::respond::json::Json;

/// The tag of the operations and its description.
pub const TAG: (&str, &str) = ("Usuário", "Quem chama");

routes! {
    /// The route of the caller.
    config => {
        config.service(resource("/user").route(get().to(obter)));
    }
}

#[api_operation(
    tag = "Usuário",
    operation_id = "obter_usuario",
    summary = "Obter quem chama",
    description = "A identidade que o token provou."
)]
#[expect(clippy::unused_async, reason = "apistos takes async handlers only")]
async fn obter(user: CurrentUser) -> Result<Json<UsuarioResponse>, ApiError> {
    Ok(Json(user.usuario.clone().into()))
}

/// Quem chama.
#[derive(Serialize, JsonSchema, ApiComponent)]
#[schemars(rename = "Usuario")]
#[serde(rename_all = "camelCase")]
#[schemars(example = "crate::openapi::examples::usuario")]
struct UsuarioResponse {
    /// Id da pessoa no Azure DevOps.
    id: String,
    /// Nome da pessoa.
    display_name: String,
    /// E-mail da pessoa.
    email_address: Option<String>,
    /// Sempre null.
    avatar_url: Option<String>,
}

impl From<Usuario> for UsuarioResponse {
    fn from(Usuario { id, display_name, email }: Usuario) -> Self {
        Self { id, display_name, email_address: email, avatar_url: None }
    }
}
