// Swagger UI and ReDoc speak English alone: this puts their words into Portuguese as they appear.
'use strict';

(() => {
  const WORDS = new Map(Object.entries({
    // Swagger UI: the page
    'Authorize': 'Autorizar',
    'Available authorizations': 'Autorizações disponíveis',
    'Authorized': 'Autorizado',
    'Basic authorization': 'Autorização Basic',
    'Close': 'Fechar',
    'Logout': 'Sair',
    'Name:': 'Nome:',
    'In:': 'Em:',
    'Username:': 'Usuário:',
    'Password:': 'Senha:',
    'Value:': 'Valor:',
    'Servers': 'Servidores',
    'Contact': 'Contato',
    'Terms of service': 'Termos de uso',
    'Find more details': 'Mais detalhes',
    'Schemas': 'Esquemas',
    'Schema': 'Esquema',
    'Loading': 'Carregando',
    'Errors': 'Erros',
    'Hide': 'Ocultar',
    'Show': 'Mostrar',
    'Failed to load API definition.': 'A descrição da API não pôde ser carregada.',
    'No operations defined in spec!': 'A descrição da API não tem operações.',
    // Swagger UI: an operation
    'Parameters': 'Parâmetros',
    'No parameters': 'Sem parâmetros',
    'Name': 'Nome',
    'Description': 'Descrição',
    'Try it out': 'Experimentar',
    'Cancel': 'Cancelar',
    'Execute': 'Executar',
    'Clear': 'Limpar',
    'Reset': 'Restaurar',
    'Edit': 'Editar',
    'Edit Value': 'Editar valor',
    'Example Value': 'Exemplo',
    'Examples:': 'Exemplos:',
    'Request body': 'Corpo da requisição',
    'Send empty value': 'Enviar valor vazio',
    'Responses': 'Respostas',
    'Server response': 'Resposta do servidor',
    'Response body': 'Corpo da resposta',
    'Response headers': 'Cabeçalhos da resposta',
    'Request duration': 'Duração da requisição',
    'Request URL': 'URL da requisição',
    'Code': 'Código',
    'Details': 'Detalhes',
    'No links': 'Sem links',
    'Media type': 'Tipo de mídia',
    'Controls': 'Define o cabeçalho',
    'header.': '.',
    'Headers:': 'Cabeçalhos:',
    'Type': 'Tipo',
    'Default value': 'Padrão',
    'Available values': 'Valores',
    'description:': 'descrição:',
    'example': 'exemplo',
    'example:': 'exemplo:',
    'Undocumented': 'Não documentado',
    'Download': 'Baixar',
    'Download file': 'Baixar o arquivo',
    'Warning: Deprecated': 'Atenção: obsoleto',
    'Expand all': 'Expandir tudo',
    'Collapse all': 'Recolher tudo',
    'Expand operation': 'Expandir a operação',
    'Collapse operation': 'Recolher a operação',
    'Apply credentials': 'Aplicar as credenciais',
    'Remove authorization': 'Remover a autorização',
    'Copy code to clipboard': 'Copiar',
    'Copy path to clipboard': 'Copiar o caminho',
    'Copy cURL command to clipboard': 'Copiar o comando curl',
    'Media Type': 'Tipo de mídia',
    'Request content type': 'Tipo do corpo da requisição',
    'authorization button locked': 'Autorizado',
    'authorization button unlocked': 'Autorizar',
    'auth-basic-username': 'Usuário',
    'auth-basic-password': 'Senha',
    'auth-bearer-value': 'Token',
    'Failed to fetch.': 'A resposta não chegou.',
    'Possible Reasons:': 'Causas possíveis:',
    'Network Failure': 'Falha de rede',
    'URL scheme must be "http" or "https" for CORS request.': 'A URL não começa com http nem https',
    'Please correct the following validation errors and try again.': 'Corrija os erros abaixo e tente de novo.',
    'Required field is not provided': 'Campo obrigatório não informado',
    'Value must be a Guid': 'O valor deve ser um UUID',
    'Value must be a DateTime': 'O valor deve ser uma data com hora',
    'Value must be a string': 'O valor deve ser um texto',
    'Value must be a boolean': 'O valor deve ser true ou false',
    'Value must be a number': 'O valor deve ser um número',
    'Value must be an integer': 'O valor deve ser um número inteiro',
    // ReDoc
    'Authorizations:': 'Autorizações:',
    'HTTP Authorization Scheme:': 'Esquema de autorização HTTP:',
    'Bearer format:': 'Formato do token:',
    'Request Body schema:': 'Esquema do corpo da requisição:',
    'Response Schema:': 'Esquema da resposta:',
    'Response Headers': 'Cabeçalhos da resposta',
    'Content type': 'Tipo de conteúdo',
    'Example': 'Exemplo',
    'Show pattern': 'Mostrar o padrão',
    'Hide pattern': 'Ocultar o padrão',
    'No sample': 'Sem exemplo',
    'Copy': 'Copiar',
    'Copied': 'Copiado',
    'Deprecated': 'Obsoleto',
    'required': 'obrigatório',
    'non-empty': 'não vazio',
    'Search...': 'Buscar…',
    'Search': 'Buscar',
    'License:': 'Licença:',
    'Terms of Service': 'Termos de uso',
    'Loading ...': 'Carregando…',
    'Payload': 'Corpo',
    'expand': 'expandir',
    'collapse': 'recolher',
    'objects': 'object',
    'strings': 'string',
    'integers': 'integer',
    'numbers': 'number',
    'booleans': 'boolean',
  }));

  const SHAPES = [
    [/^Value must be no longer than (\d+) characters?$/, 'O valor deve ter no máximo $1 caracteres'],
    [/^Value must be at least (\d+) characters?$/, 'O valor deve ter no mínimo $1 caracteres'],
    [/^Value must be less than or equal to (.+)$/, 'O valor deve ser menor ou igual a $1'],
    [/^Value must be greater than or equal to (.+)$/, 'O valor deve ser maior ou igual a $1'],
    [/^For '(.+)': (.+)\.$/, (_, name, rule) => `${name}: ${translated(rule) ?? rule}`],
    [/^Error: (.+)$/, 'Erro: $1'],
    [/^(.*\d.*) characters$/, '$1 caracteres'],
    [/^(.*\d.*) items$/, '$1 itens'],
    [/^(\w+) or null$/, '$1 ou null'],
    [/^expand (.+)$/, 'expandir $1'],
  ];

  // ReDoc's headings have two texts, "query" and " Parameters", whose order is another one in Portuguese.
  const PLACES = { path: 'do caminho', query: 'da consulta', header: 'do cabeçalho', cookie: 'do cookie' };

  // What the API says of itself and what a person typed or received stays as it is.
  // (Swagger UI also puts its own words on a failed request, a default and a list of values through its Markdown.)
  const NOT_OURS = 'pre, code, textarea, script, style, .redoc-markdown, .property-name, '
    + ':is(.markdown, .renderedMarkdown):not(.live-responses-table *, .parameter__enum, .parameter__default)';
  const ATTRIBUTES = ['placeholder', 'title', 'aria-label'];

  const translated = (text) => {
    const words = text.trim();
    const shape = SHAPES.find(([pattern]) => pattern.test(words));
    const portuguese = WORDS.get(words) ?? (shape && words.replace(...shape));
    // The same word again would wake the observer for ever.
    return portuguese && portuguese !== words && text.replace(words, () => portuguese);
  };

  const translateText = (node) => {
    const text = translated(node.data);
    if (!text || node.parentElement?.closest(NOT_OURS)) return;
    const place = node.previousSibling;
    if (text === ' Parâmetros' && place?.data in PLACES) {
      node.data = ` ${PLACES[place.data]}`;
      place.data = 'Parâmetros';
    } else {
      node.data = text;
    }
  };

  const translateAttributes = (element) => {
    for (const name of ATTRIBUTES) {
      const text = element.hasAttribute(name) && translated(element.getAttribute(name));
      if (text) element.setAttribute(name, text);
    }
  };

  const translate = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = root; node; node = walker.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) translateText(node);
      else translateAttributes(node);
    }
  };

  // Runs before the browser paints, so that no English word is seen.
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === 'childList') addedNodes.forEach(translate);
      else if (type === 'characterData') translateText(target);
      else translateAttributes(target);
    }
  }).observe(document.body, {
    childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES,
  });
})();
