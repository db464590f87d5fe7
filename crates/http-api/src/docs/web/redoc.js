'use strict';

Redoc.init(
  // From the address of the page, which may stand under a proxy's prefix and may end in a slash.
  location.pathname.replace(/\/redoc\/?$/, '/openapi.json'),
  {
    labels: {
      enum: 'Valores',
      enumSingleValue: 'Valor',
      enumArray: 'Itens',
      default: 'Padrão',
      deprecated: 'Obsoleto',
      example: 'Exemplo',
      examples: 'Exemplos',
      recursive: 'Recursivo',
      arrayOf: 'Lista de ',
      webhook: 'Evento',
      const: 'Valor',
      noResultsFound: 'Nada encontrado',
      download: 'Baixar',
      downloadSpecification: 'Baixar a especificação OpenAPI',
      responses: 'Respostas',
      callbackResponses: 'Respostas do callback',
      requestSamples: 'Exemplos de requisição',
      responseSamples: 'Exemplos de resposta',
    },
    scrollYOffset: 0,
    // The fonts that the reader has: those of ReDoc's theme would have to come from elsewhere.
    theme: {
      typography: {
        fontFamily: 'system-ui, sans-serif',
        headings: { fontFamily: 'system-ui, sans-serif' },
        code: { fontFamily: 'ui-monospace, monospace' },
      },
    },
  },
  document.getElementById('redoc'),
);
