//! All messages for API users, in Brazilian Portuguese.

use actix_web::http::StatusCode;
use domain::{
    AvisoDoTimesheet, Conflict, MotivoDoErro, Refusal, RefusalReason, Resource, Service, Sincronizacao, SyncSummary,
    TreeGap, Violation, WorkItemId, date_text,
};
use uuid::Uuid;

pub const CREDENTIAL_MISSING: &str = "Token de autenticação não fornecido";
pub const UNREADABLE_CREDENTIAL: &str = "O cabeçalho Authorization não pode ser lido: use Bearer com um token em ASCII ou Basic com base64 de usuário:token";
pub const CREDENTIAL_REJECTED: &str = "Token inválido ou expirado";
pub const FORBIDDEN: &str = "Token não possui permissões necessárias";
pub const CHANGED: &str = "O recurso mudou desde que foi lido; leia-o de novo";
pub const INTERNAL: &str = "Erro interno";
pub const UNREADABLE_PATH: &str = "O caminho da requisição não pode ser lido: codificação inválida";
pub const UNREADABLE_BODY: &str = "O corpo da requisição não pôde ser lido";
pub const BODY_TOO_LARGE: &str = "O corpo da requisição ultrapassa 1 MiB";
pub const BODY_TOO_SLOW: &str = "O corpo da requisição demorou demais";
pub const PREFLIGHT_REJECTED: &str =
    "Esta página não pode fazer esta chamada: a origem, o método ou um cabeçalho não é permitido";
pub const NOT_ACCEPTABLE: &str = "A resposta não existe em nenhum dos formatos do cabeçalho Accept";
pub const TOO_MANY: &str = "Requisições demais; tente novamente em instantes";
pub const TOO_MANY_KEYS: &str =
    "Chaves de idempotência demais nas últimas 24 horas; tente mais tarde ou envie sem Idempotency-Key";
pub const TOO_MANY_FAILURES: &str = "Tentativas de autenticação demais sem sucesso; tente novamente em instantes";
pub const OVERLOADED: &str = "Requisições ou respostas demais em andamento; tente novamente em instantes";
pub const RESPONSE_TOO_LARGE: &str = "A resposta seria grande demais: peça menos itens ou um período menor; os apontamentos de uma semana estão, dia a dia, em GET /api/v1/apontamentos";
pub const NOT_JSON: &str = "O corpo da requisição deve ser application/json";
pub const FOREIGN_HOST: &str =
    "Sem autenticação, a API só atende endereços desta máquina, como localhost e 127.0.0.1; o cabeçalho Host é outro";
pub const FOREIGN_ORIGIN: &str = "Sem autenticação, uma página de outra origem não pode alterar dados";
pub const ENCODED_BODY: &str = "O corpo da requisição não pode vir comprimido";

pub const IDEMPOTENCY_KEY: &str = "O cabeçalho Idempotency-Key deve ter de 1 a 255 caracteres ASCII visíveis";
pub const KEY_REUSED: &str = "A chave de idempotência já foi usada com outra requisição";

pub const MISSING: &str = "Campo obrigatório";
pub const STRING_TYPE: &str = "Deve ser um texto";
pub const BOOL_TYPE: &str = "Deve ser true ou false";
pub const BOOL_PARSING: &str = "Não é um booleano válido: use true ou false";
pub const INT_PARSING: &str = "Não é um número inteiro válido";
pub const UUID_TYPE: &str = "Deve ser um texto com um UUID";
pub const UUID_PARSING: &str = "Não é um UUID válido";
pub const LIST_TYPE: &str = "Deve ser uma lista";
pub const OBJECT_TYPE: &str = "Deve ser um objeto JSON";
pub const JSON_INVALID: &str = "JSON inválido";
pub const BODY_NOT_UTF8: &str = "O corpo da requisição deve estar codificado em UTF-8";
pub const GROUPINGS: &str = "Deve ter de um a três agrupamentos diferentes";
pub const UNREADABLE_TEXT: &str = "Não pode ser lido: codificação inválida";

/// Returns the message of a violated rule.
pub fn violation(violation: Violation) -> String {
    match violation {
        Violation::TooShort { min: 1 } => "Deve ter no mínimo 1 caractere".to_owned(),
        Violation::TooShort { min } => format!("Deve ter no mínimo {min} caracteres"),
        Violation::TooLong { max } => format!("Deve ter no máximo {max} caracteres"),
        Violation::TooManyBytes { max } => format!("Deve ter no máximo {max} bytes"),
        Violation::ContainsNul => "Não pode conter o caractere NUL".to_owned(),
        Violation::ControlCharacter => {
            "Não pode conter caracteres de controle, exceto tabulações e quebras de linha".to_owned()
        }
        Violation::TooFew { min: 1 } => "Deve ter no mínimo 1 item".to_owned(),
        Violation::TooFew { min } => format!("Deve ter no mínimo {min} itens"),
        Violation::TooMany { max } => format!("Deve ter no máximo {max} itens"),
        Violation::LessThan { min } => format!("Deve ser maior ou igual a {min}"),
        Violation::GreaterThan { max } => format!("Deve ser menor ou igual a {max}"),
        Violation::NotACursor => "Não é um cursor desta listagem".to_owned(),
        Violation::Repeated => "Não pode repetir um item anterior da lista".to_owned(),
        Violation::NotTheFirst => "Deve ser o primeiro de ids_projetos".to_owned(),
        Violation::NotAGuid => UUID_PARSING.to_owned(),
        Violation::NotADate => "Não é uma data válida: use AAAA-MM-DD".to_owned(),
        Violation::DateBefore { min } => format!("Deve ser {} ou depois", date_text(min)),
        Violation::DateAfter { max } => format!("Deve ser {} ou antes", date_text(max)),
        Violation::NotADuration => "Não é uma duração válida: use HH:MM, de 00:01 a 24:00".to_owned(),
        Violation::UnknownProjeto => "Projeto não encontrado".to_owned(),
    }
}

/// Returns the message of a refused request, with the item if it has many.
pub fn refusal(Refusal { item, reason }: &Refusal) -> String {
    let text = refusal_reason(reason);
    item.map_or_else(|| text.clone(), |item| format!("items.{item}: {text}"))
}

/// Returns the message of a reason to refuse.
pub fn refusal_reason(reason: &RefusalReason) -> String {
    match reason {
        RefusalReason::NotOwner => "Somente quem apontou pode alterar".to_owned(),
        RefusalReason::DayFull { restantes: 0, data } => {
            format!("O limite de 24:00 por dia foi atingido em {}", date_text(*data))
        }
        RefusalReason::DayFull { restantes, data } => format!(
            "O limite de 24:00 por dia seria ultrapassado em {}: restam {}",
            date_text(*data),
            domain::hours_and_minutes((*restantes).into())
        ),
        RefusalReason::UnknownAtividade(id) => format!("Atividade não encontrada: {}", id.0),
        RefusalReason::InactiveAtividade => "A atividade está inativa e não recebe apontamentos".to_owned(),
        RefusalReason::UnknownProjeto(projeto) => format!("Projeto não encontrado: {projeto}"),
        RefusalReason::OtherOrganisation { served, sent } => {
            format!("Este servidor atende a organização {served}, e não {sent}")
        }
        RefusalReason::UnknownTeam(id) => format!("Time não encontrado: {}", id.0),
        RefusalReason::UnknownIteration(id) => format!("Iteração não encontrada: {}", id.0),
        RefusalReason::UnknownWorkItem(id) => format!("Work item {id} não encontrado"),
        RefusalReason::ClosedWorkItem { id, estado } => {
            format!("O work item {id} está encerrado ({estado}) e não recebe apontamentos nem alterações")
        }
        RefusalReason::TooManyLines { max } => {
            format!("O relatório teria mais de {max} linhas: escolha um período menor, outro agrupamento ou um filtro")
        }
        RefusalReason::ReportTooLarge => {
            "O relatório seria grande demais: escolha um período menor, outro agrupamento ou um filtro".to_owned()
        }
    }
}

/// Returns the warning about a work item that could not be checked.
pub fn unchecked_work_item(id: WorkItemId) -> String {
    format!("O work item {id} não foi verificado, porque o Azure DevOps não pôde ser consultado")
}

/// Returns the warning about a part that a timesheet lacks.
pub const fn aviso_do_timesheet(aviso: AvisoDoTimesheet) -> &'static str {
    match aviso {
        AvisoDoTimesheet::SemAzure => {
            "O Azure DevOps não respondeu: só aparecem os work items com horas nesta semana, com o último título conhecido"
        }
        AvisoDoTimesheet::Sobrecarga => {
            "Há consultas demais ao Azure DevOps em andamento: só aparecem os work items com horas nesta semana, com o último \
             título conhecido"
        }
        AvisoDoTimesheet::SemPermissao => {
            "Sua credencial não permite ler work items no Azure DevOps: só aparecem os work items com horas nesta semana, \
             com o último título conhecido"
        }
        AvisoDoTimesheet::SemOrganizacao => {
            "A integração com o Azure DevOps não está configurada neste servidor: só aparecem os work items com horas nesta \
             semana, com o último título conhecido"
        }
        AvisoDoTimesheet::Parte(TreeGap::Projeto) => {
            "O projeto não existe no Azure DevOps: só aparecem os work items com horas nesta semana"
        }
        AvisoDoTimesheet::Parte(TreeGap::Assigned) => {
            "O Azure DevOps não informou os work items atribuídos a você: só aparecem os que têm horas nesta semana"
        }
        AvisoDoTimesheet::Parte(TreeGap::Parents) => "O Azure DevOps não informou os níveis acima dos work items",
        AvisoDoTimesheet::Parte(TreeGap::States) => {
            "O Azure DevOps não informou todos os estados: um work item encerrado pode aparecer como aberto"
        }
        AvisoDoTimesheet::Parte(TreeGap::TooMany) => {
            "Há work items demais: dos atribuídos a você, só aparecem os alterados por último"
        }
    }
}

/// Returns why the hours of a work item cannot be written.
pub const fn write_back_failure(motivo: MotivoDoErro) -> &'static str {
    match motivo {
        MotivoDoErro::Inexistente => "O work item não existe, ou a conta do serviço não o vê",
        MotivoDoErro::Encerrado => "O work item está encerrado",
        MotivoDoErro::Regra => "Uma regra do Azure DevOps recusou as horas",
        MotivoDoErro::SemPermissao => "A conta do serviço não pode alterar o work item",
        MotivoDoErro::SemResposta => "O Azure DevOps falhou em todas as tentativas",
    }
}

/// Returns the message of a reference to a resource that does not exist.
pub fn unknown_reference(resource: Resource, id: Uuid) -> String {
    let (name, ending) = name_and_ending(resource);
    format!("{name} não encontrad{ending}: {id}")
}

/// Returns the message of an unknown id.
pub fn not_found(resource: Resource, id: Uuid) -> String {
    let (name, ending) = name_and_ending(resource);
    format!("{name} com ID {id} não encontrad{ending}")
}

/// Returns the name of a resource and the ending of its participles, which agree in gender.
const fn name_and_ending(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::Apontamento => ("Apontamento", "o"),
        Resource::Atividade => ("Atividade", "a"),
        Resource::Projeto => ("Projeto", "o"),
    }
}

/// Returns the message of a conflict with the current state.
pub const fn conflict(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::AtividadeComApontamentos => "A atividade possui apontamentos e não pode ser excluída; desative-a",
        Conflict::ProjetoComApontamentos => "O projeto possui apontamentos e não pode ser excluído",
        Conflict::ProjetoComAtividades => "O projeto possui atividades e não pode ser excluído",
        Conflict::ProjetoDoAzure => "O projeto pertence ao Azure DevOps e não pode ser alterado aqui",
        Conflict::SemOrganizacao => "A integração com o Azure DevOps não está configurada neste servidor",
        Conflict::EscritaDesligada => "Este servidor não escreve horas no Azure DevOps",
    }
}

/// Returns the message of an unreachable service.
pub const fn unavailable(service: Service) -> &'static str {
    match service {
        Service::Database => "Banco de dados indisponível no momento; tente novamente em instantes",
        Service::AzureDevOps => "Azure DevOps indisponível no momento; tente novamente em instantes",
    }
}

/// Returns the message of a service that timed out.
pub const fn timed_out(service: Service) -> &'static str {
    match service {
        Service::Database => "O banco de dados não respondeu a tempo",
        Service::AzureDevOps => "O Azure DevOps não respondeu a tempo",
    }
}

/// Returns the message of a service that returned an error.
pub const fn bad_upstream(service: Service) -> &'static str {
    match service {
        Service::Database => "O banco de dados respondeu com um erro",
        Service::AzureDevOps => "O Azure DevOps respondeu com um erro",
    }
}

/// Returns the message of a body with too many values.
pub fn too_many_values(max: usize) -> String {
    format!("O corpo tem valores demais: no máximo {max}")
}

/// Returns the message of a bulk request that refers to too many projetos.
pub fn too_many_projetos(max: usize) -> String {
    format!("As atividades referem-se a projetos demais: no máximo {max} ao todo")
}

/// Returns the message of a value that is not in a list of allowed ones.
pub fn one_of(allowed: &[&str]) -> String {
    format!("Deve ser um destes: {}", allowed.join(" "))
}

/// Returns the summary of a synchronisation.
pub fn synchronised(sincronizacao: &Sincronizacao) -> String {
    let SyncSummary { synced, created, updated, removed } = sincronizacao.summary;
    let noun = if synced == 1 { "projeto sincronizado" } else { "projetos sincronizados" };
    let mut text = format!("{synced} {noun}: novos {created}, alterados {updated}, removidos {removed}");
    if !sincronizacao.failed.is_empty() {
        text = format!("{text}; ignorados por dados inválidos: {}", sincronizacao.failed.len());
    }
    if sincronizacao.unconfirmed != 0 {
        text = format!("{text}; ausentes da lista, sem confirmação de exclusão: {}", sincronizacao.unconfirmed);
    }
    text
}

/// Returns the title of a status, also used as the message if there is no other.
pub fn status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "A requisição não pode ser lida",
        StatusCode::UNAUTHORIZED => "Não autenticado",
        StatusCode::FORBIDDEN => FORBIDDEN,
        StatusCode::NOT_FOUND => "Recurso não encontrado",
        StatusCode::METHOD_NOT_ALLOWED => "Método não permitido",
        StatusCode::NOT_ACCEPTABLE => "Representação não disponível",
        StatusCode::REQUEST_TIMEOUT => "A requisição demorou demais",
        StatusCode::CONFLICT => "Conflito com o estado atual",
        StatusCode::PRECONDITION_FAILED => "O recurso mudou desde que foi lido",
        StatusCode::PAYLOAD_TOO_LARGE => "Requisição grande demais",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Tipo de corpo não aceito",
        StatusCode::MISDIRECTED_REQUEST => "Endereço não atendido por este servidor",
        StatusCode::UNPROCESSABLE_ENTITY => "Dados inválidos",
        StatusCode::TOO_MANY_REQUESTS => TOO_MANY,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "Cabeçalhos da requisição grandes demais",
        StatusCode::BAD_GATEWAY => "Um serviço de que a API depende respondeu com um erro",
        StatusCode::SERVICE_UNAVAILABLE => "Serviço indisponível no momento; tente novamente em instantes",
        StatusCode::GATEWAY_TIMEOUT => "Um serviço de que a API depende não respondeu a tempo",
        other if other.is_client_error() => "Requisição inválida",
        _ => INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_title_is_unique_per_status() {
        let all = [400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 415, 421, 422, 429, 431, 500, 502, 503, 504];
        let titles = all.map(|code| status(StatusCode::from_u16(code).unwrap()));
        assert_eq!(std::collections::BTreeSet::from(titles).len(), all.len());
        assert!(!titles.contains(&"Requisição inválida"));
    }

    #[test]
    fn not_found_message_agrees_in_gender() {
        assert_eq!(
            not_found(Resource::Atividade, Uuid::nil()),
            "Atividade com ID 00000000-0000-0000-0000-000000000000 não encontrada"
        );
        assert_eq!(
            not_found(Resource::Projeto, Uuid::nil()),
            "Projeto com ID 00000000-0000-0000-0000-000000000000 não encontrado"
        );
    }
}
