'use strict';

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  // From the address of the page, which may stand under a proxy's prefix and may end in a slash.
  url: location.pathname.replace(/\/docs\/?$/, '/openapi.json'),
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // Tokens stay in this page's memory: nothing goes to localStorage, and nothing to a validator on the internet.
  persistAuthorization: false,
  validatorUrl: null,
  plugins: [{
    wrapComponents: {
      // Swagger UI insists on a user name, but a personal access token comes as the password of nobody.
      Input: (Input, { React }) => (props) =>
        React.createElement(Input, props.name === 'username' ? { ...props, required: false } : props),
    },
  }],
});
