// @medplum/fhir-router's in-memory repository behind Express, for bench/inbound.py: POST /fhir takes the same transaction.
// No token, no profile, nothing durable. Prints the port it listens on.
'use strict';
const express = require('express');
const { FhirRouter, MemoryRepository } = require('@medplum/fhir-router');
// The router's own copy of the core keeps the definitions; ours may be another version.
const core = require.resolve('@medplum/core', { paths: [require.resolve('@medplum/fhir-router')] });
const { indexStructureDefinitionBundle } = require(core);
const fs = require('fs');

const definitions = JSON.parse(fs.readFileSync(0, 'utf8'));
const entry = definitions.map((resource) => ({ resource }));
indexStructureDefinitionBundle({ resourceType: 'Bundle', type: 'collection', entry });

const router = new FhirRouter();
const repository = new MemoryRepository();
const app = express();
app.use(express.json({ type: ['application/fhir+json', 'application/json'], limit: '1mb' }));
app.post('/fhir', async (request, response) => {
  const asked = { method: 'POST', url: '/', pathname: '', body: request.body, params: {}, query: {} };
  const [, bundle] = await router.handleRequest(asked, repository);
  const taken = (bundle?.entry ?? []).filter((entry) => entry.response?.status === '201').length;
  response.status(taken === request.body.entry.length ? 202 : 422).type('application/fhir+json').send(bundle);
});
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
