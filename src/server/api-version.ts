/** Version of the HTTP interface: in the OpenAPI document and in `blockstitch --version`. */
export const API_VERSION = '0.1.0';
