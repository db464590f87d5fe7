//! How Azure DevOps names a projeto.

use crate::{Error, ProjetoId, ProjetoRepository, ProjetoSelector};

/// Characters that no name of a project in Azure DevOps has, and that have a meaning in an address.
const IMPOSSIBLE: [char; 10] = ['/', '\\', '?', '#', '%', ':', '*', '<', '>', '|'];

/// Returns the id or the name by which Azure DevOps knows a projeto. Only a project of Azure DevOps has the same id there.
/// `None` if no project can have the name, so that it is never part of an address.
pub(crate) async fn name_in_azure(
    projetos: &dyn ProjetoRepository,
    projeto: &ProjetoSelector,
) -> Result<Option<String>, Error> {
    let nome = match projeto {
        ProjetoSelector::Nome(nome) => nome.clone(),
        ProjetoSelector::Id(id) => match projetos.find(ProjetoId(id.0)).await? {
            Some(local) if local.azure_project_id.is_none() => local.nome,
            _ => return Ok(Some(id.0.to_string())),
        },
    };
    Ok(is_possible(nome.as_str()).then(|| nome.as_str().to_owned()))
}

fn is_possible(nome: &str) -> bool {
    nome != "." && nome != ".." && !nome.contains(IMPOSSIBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_in_an_address_are_impossible() {
        for nome in ["Portal do Cliente", "Ação", "P&D", "v1.0", "...", "@Me", "a'b"] {
            assert!(is_possible(nome), "{nome}");
        }
        for nome in [".", "..", "../x", "a/b", "a\\b", "a?b", "a#b", "%2e%2e", "http://x", "a*", "<a>", "a|b"] {
            assert!(!is_possible(nome), "{nome}");
        }
    }
}
