// Starts Swagger UI. A file of its own: the page's Content-Security-Policy allows no inline script.
"use strict";

window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // A validator badge would send the document's address to another server.
  validatorUrl: "none",
  // "Bearer " is added by Swagger UI: a token that was copied with it, or with a line break, is
  // mended here.
  requestInterceptor: (request) => {
    const token = request.headers.Authorization;
    if (token) {
      request.headers.Authorization = `Bearer ${token.replace(/^(\s*Bearer\s+)+/i, "").trim()}`;
    }
    return request;
  },
});
