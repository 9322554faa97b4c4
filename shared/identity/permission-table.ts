import { schemaToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { DeviceClass, Lifecycle, Ownership, Platform } from '../devices/device.ts';
import { type Action, actions } from './actions.ts';
import { everySite, Role } from './caller.ts';
import type { PolicySet } from './policy-set.ts';
import {
  deviceResource,
  importResource,
  organization,
  type Resource,
  rolloutResource,
  siteResource,
  tokenResource,
} from './resource.ts';

/** Something of the user's own site that an action can be about, and what people call it. */
type Sample = readonly [string, Resource];

const siteId = 's-1';

const device = (deviceClass: DeviceClass, platform: Platform, state: 'idle' | 'in-use' | 'unknown' = 'unknown') =>
  deviceResource({
    id: 'd-1',
    platform,
    class: deviceClass,
    ownership: Ownership.Organization,
    lifecycle: Lifecycle.Enrolled,
    siteId,
    clinical: { state },
  });

const medical = [DeviceClass.InfusionPump, DeviceClass.PatientMonitor, DeviceClass.Ventilator].flatMap((each) =>
  (['idle', 'in-use'] as const).map((state): Sample => [`${each} ${state}`, device(each, Platform.Iomt, state)]),
);

/** What policies tell apart. The names of a row are written out where a role may do it with some of them only. */
const samples: Readonly<Record<string, readonly Sample[]>> = {
  Device: [
    ['phone', device(DeviceClass.Phone, Platform.Android)],
    ['tablet', device(DeviceClass.Tablet, Platform.Apple)],
    ['workstation', device(DeviceClass.Workstation, Platform.Windows)],
    ['other', device(DeviceClass.Other, Platform.Linux)],
    ['pump on Linux', device(DeviceClass.InfusionPump, Platform.Linux)],
    ['other IoMT', device(DeviceClass.Other, Platform.Iomt)],
    ...medical,
  ],
  Place: [['the site', siteResource(siteId)]],
  EnrollmentToken: [
    ['for IoMT', tokenResource({ id: 't-1', siteId, platform: Platform.Iomt })],
    ['for phones', tokenResource({ id: 't-1', siteId, platform: Platform.Android })],
    [
      'for pumps on Linux',
      tokenResource({ id: 't-1', siteId, platform: Platform.Linux, class: DeviceClass.InfusionPump }),
    ],
    ['for anything', tokenResource({ id: 't-1', siteId })],
  ],
  Import: [
    ['own', importResource('i-1', 'u')],
    ["another's", importResource('i-1', 'somebody')],
  ],
  Rollout: [
    ['patient care', rolloutResource({ id: 'r', siteIds: [siteId], classes: [DeviceClass.InfusionPump] })],
    ['personal', rolloutResource({ id: 'r', siteIds: [siteId], classes: [DeviceClass.Tablet] })],
    ['both', rolloutResource({ id: 'r', siteIds: [siteId] })],
  ],
};

const theOrganization: readonly Sample[] = [['the organization', organization()]];

/** Actions that are about the organization, whoever asks (functions/). */
const ofOrganization: readonly Action[] = ['CreateSite', 'ImportDevices', 'UpdateLimits', 'ApproveLimits'];

/** Groups of devices with a name of their own. */
const groups: readonly (readonly [string, readonly string[]])[] = [
  ['IoMT', ['other IoMT', ...medical.map(([name]) => name)]],
  ['patient care', ['pump on Linux', ...medical.map(([name]) => name)]],
  ['phones, tablets, workstations', ['phone', 'tablet', 'workstation']],
];

/**
 * Who may do what, as a table in Markdown: asked of the policies themselves, action by action, for a user of one site
 * with one role, on things of that site. Whatever changes in the policies changes a cell of it.
 */
export function permissionTable(policies: PolicySet, schema: string): string[] {
  const roles = [...new Set([...Object.values(Role), ...rolesOf(policies)])];
  const kinds = resourceTypes(schema);
  return [
    `| | ${roles.map((role) => `\`${role}\``).join(' | ')} |`,
    `|---|${roles.map(() => '---').join('|')}|`,
    ...actions.flatMap((action) => {
      const rows = (kinds.get(action) ?? []).map((kind) =>
        roles.map((role) => cell(policies, role, action, kind)).join(' | '),
      );
      // What is about two kinds of things is mostly permitted for both alike.
      return [...new Set(rows)].map((row) => `| \`${action}\` | ${row} |`);
    }),
  ];
}

function cell(policies: PolicySet, role: string, action: Action, kind: string): string {
  const may = (sites: readonly string[], resource: Resource, fresh: boolean): boolean => {
    const caller = { sub: 'u', roles: [role], sites, status: 'active', amr: [] };
    const context = fresh ? { mfa: true, signInAgeSeconds: 0 } : { mfa: false, signInAgeSeconds: 86_400 };
    return policies.decide(caller, action, resource, context).allowed;
  };
  const own = ofOrganization.includes(action) ? theOrganization : (samples[kind] ?? []);
  const permitted = own.filter(([, resource]) => may([siteId], resource, true));
  if (permitted.length === 0 && kind !== 'Place') return '';
  if (permitted.length === 0) return may([everySite], organization(), true) ? 'with `*`' : '';
  const mark = permitted.every(([, resource]) => may([siteId], resource, false)) ? '' : ' †';
  return `${words(own, permitted)}${mark}`;
}

function words(all: readonly Sample[], permitted: readonly Sample[]): string {
  if (permitted.length === all.length) return 'yes';
  let left = permitted.map(([name]) => name);
  const said: string[] = [];
  for (const [name, members] of groups) {
    if (!members.every((member) => left.includes(member))) continue;
    said.push(name);
    left = left.filter((each) => !members.includes(each));
  }
  return [...said, ...left].join(', ');
}

/** Roles that policies name, shipped or not. */
function rolesOf(policies: PolicySet): string[] {
  const texts = [...policies.policies.values()].map(({ text }) => text).join('\n');
  return [...texts.matchAll(/Role::"([^"]+)"/g)].map(([, role = '']) => role).sort();
}

/** The kinds of resource that each action is about, out of the schema. */
function resourceTypes(schema: string): ReadonlyMap<string, readonly string[]> {
  const answer = schemaToJson(schema);
  if (answer.type === 'failure') throw new Error('The schema of the policies is not valid.');
  const found = new Map<string, readonly string[]>();
  for (const { actions: declared } of Object.values(answer.json)) {
    for (const [name, { appliesTo }] of Object.entries(declared)) {
      const types = appliesTo?.resourceTypes.map((type) => type.replace(/^.*::/, '')) ?? [];
      found.set(name, types);
    }
  }
  return found;
}
