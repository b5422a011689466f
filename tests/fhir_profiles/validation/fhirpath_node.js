// npm `fhirpath`, asked from the tests. In: one JSON array a line, [expression, type of the element, element, resource,
// outermost resource]. Out: a line for each, what the expression gives, or {"error": ...}.
'use strict';
const fs = require('fs');
const fhirpath = require('fhirpath');
const r4 = require('fhirpath/fhir-context/r4');

const silent = { traceFn: () => undefined };
const compiled = new Map();

function compile(expression, base) {
  const key = `${base} ${expression}`;
  if (!compiled.has(key)) compiled.set(key, fhirpath.compile({ base, expression }, r4, silent));
  return compiled.get(key);
}

function answer([expression, base, element, resource, rootResource]) {
  try {
    return compile(expression, base)(element, { resource, rootResource });
  } catch (error) {
    return { error: String(error.message).slice(0, 100) };
  }
}

const questions = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
process.stdout.write(questions.map((question) => `${JSON.stringify(answer(question))}\n`).join(''));
