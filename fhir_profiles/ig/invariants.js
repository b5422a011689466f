// A second opinion on the guide's invariants, by other code (npm `fhirpath`): every valid example keeps every
// invariant of its profile, and every invalid example that names an invariant breaks that one. Every invariant of the
// guide must be broken by some example, so that none is only decoration. Prints one line per disagreement; exit 1 if any.
'use strict';
const fs = require('fs');
const path = require('path');
const fhirpath = require('fhirpath');
const r4 = require('fhirpath/fhir-context/r4');

const read = (...parts) => JSON.parse(fs.readFileSync(path.join(__dirname, ...parts), 'utf8'));
const GENERATED = path.join('fsh-generated', 'resources');
const PART_OF_BUNDLE = {
  Patient: 'referral-patient',
  Consent: 'release-consent',
  ServiceRequest: 'referral-service-request',
  Task: 'referral-task',
  Appointment: 'proposed-appointment',
};
// Extensions with invariants: on which type they stand.
const EXTENSIONS = { 'safe-contact': 'ServiceRequest', mou: 'OrganizationAffiliation' };

const definitions = {};
for (const name of fs.readdirSync(path.join(__dirname, GENERATED))) {
  if (name.startsWith('StructureDefinition-')) {
    const definition = read(GENERATED, name);
    definitions[definition.id] = definition;
  }
}

// "Extension.extension:day.value[x]" is the path "extension.where(url = 'day').value".
function where(elementId) {
  return elementId
    .split('.')
    .slice(1)
    .map((step) => {
      const [element, slice] = step.replace('[x]', '').split(':');
      return slice && element === 'extension' ? `extension.where(url = '${slice}')` : element;
    })
    .join('.');
}

const invariantsOf = (id) =>
  definitions[id].differential.element.flatMap((element) =>
    (element.constraint || []).map((rule) => ({ key: rule.key, at: where(element.id), expression: rule.expression })),
  );

// The keys of the invariants that this resource breaks. An invariant that gives nothing is broken too.
function broken(resource, id) {
  const found = [];
  const hold = (base, rules) => {
    for (const rule of rules) {
      const place = [base, rule.at].filter(Boolean).join('.') || resource.resourceType;
      const expression = `${place}.select(iif(${rule.expression}, true, false))`;
      if (fhirpath.evaluate(resource, expression, { resource }, r4).includes(false)) found.push(rule.key);
    }
  };
  hold('', invariantsOf(id));
  for (const [extension, type] of Object.entries(EXTENSIONS)) {
    if (resource.resourceType === type) {
      hold(`extension.where(url = '${definitions[extension].url}')`, invariantsOf(extension));
    }
  }
  if (resource.resourceType === 'Bundle') {
    for (const { resource: part } of resource.entry) {
      if (PART_OF_BUNDLE[part.resourceType]) found.push(...broken(part, PART_OF_BUNDLE[part.resourceType]));
    }
  }
  return found;
}

const problems = [];
const profileOf = (resource) =>
  resource.meta.profile ? resource.meta.profile[0].split('/').pop() : 'appointment-ehr-copy';
const examples = fs.readdirSync(path.join(__dirname, 'input', 'examples'));
for (const name of examples) {
  const example = read('input', 'examples', name);
  const keys = broken(example, profileOf(example));
  if (keys.length) problems.push(`${name}: valid, yet breaks ${keys}`);
}
const tried = new Set();
const index = read('invalid', 'index.json');
for (const { file, profile, invariant } of index) {
  if (!invariant) continue;
  tried.add(invariant);
  if (!broken(read('invalid', file), profile).includes(invariant)) problems.push(`${file}: does not break ${invariant}`);
}
const keys = new Set(Object.keys(definitions).flatMap((id) => invariantsOf(id).map((rule) => rule.key)));
for (const key of keys) if (!tried.has(key)) problems.push(`${key}: no example breaks it`);

problems.forEach((problem) => console.log(problem));
console.log(`${examples.length} valid examples, ${tried.size} invariants broken once, ${problems.length} problems`);
process.exit(problems.length || keys.size === 0 ? 1 : 0);
