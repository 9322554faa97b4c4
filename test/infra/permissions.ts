import { listOf, member, textOf } from '../../infra/checks/resolved.ts';
import { resourcesOf, type Synthesized } from '../support/synthesized.ts';

/** One allowed action on one resource, as a line that a reviewer can read. */
export interface Permission {
  readonly action: string;
  readonly resource: string;
  readonly conditions?: unknown;
}

/** What each role may do: role (`<stack>/<role>`) -> permissions. */
export function permissionsByRole(synth: Synthesized): Record<string, Permission[]> {
  const policies = new Map(
    resourcesOf(synth, 'AWS::IAM::ManagedPolicy').map((policy) => [
      policy.id,
      allowed(policy.Properties['PolicyDocument']),
    ]),
  );
  const roles: Record<string, Permission[]> = {};
  for (const role of resourcesOf(synth, 'AWS::IAM::Role')) {
    const stack = role.id.split('/')[0] ?? '';
    const inline = listOf(role.Properties['Policies']).flatMap((policy) => allowed(member(policy, 'PolicyDocument')));
    const managed = listOf(role.Properties['ManagedPolicyArns']).flatMap((arn): Permission[] => {
      const own = policies.get(`${stack}/${String(member(arn, 'Ref'))}`);
      return own ?? [{ action: 'managed policy', resource: textOf(arn) }];
    });
    roles[plain(role.id)] = [...inline, ...managed];
  }
  for (const policy of resourcesOf(synth, 'AWS::IAM::Policy')) {
    for (const role of listOf(policy.Properties['Roles'])) {
      const id = plain(`${policy.id.split('/')[0]}/${String(member(role, 'Ref'))}`);
      roles[id] = [...(roles[id] ?? []), ...allowed(policy.Properties['PolicyDocument'])];
    }
  }
  return roles;
}

/** The golden form: each line `<action> <resource>`, with `if {...}` where there is a condition; sorted. */
export function asLines(permissions: readonly Permission[]): string[] {
  return permissions
    .map(({ action, resource, conditions }) =>
      conditions === undefined ? `${action} ${resource}` : `${action} ${resource} if ${JSON.stringify(conditions)}`,
    )
    .sort();
}

function allowed(document: unknown): Permission[] {
  return listOf(member(document, 'Statement'))
    .filter((statement) => member(statement, 'Effect') === 'Allow')
    .flatMap((statement) =>
      listOf(member(statement, 'Action')).flatMap((action) =>
        listOf(member(statement, 'Resource')).map((resource) => {
          const conditions = member(statement, 'Condition');
          return {
            action: textOf(action),
            resource: plain(textOf(resource)),
            ...(conditions === undefined ? {} : { conditions }),
          };
        }),
      ),
    );
}

/** Logical ids and export names without CDK's hashes, so that the golden file says what is meant. */
function plain(text: string): string {
  return text
    .replace(
      /WardlineData:ExportsOutput(?:Ref|FnGetAtt)([A-Za-z]+?)[0-9A-F]{8}(Arn|StreamArn|[A-Z]\w*?)?[0-9A-F]{8}/g,
      '<$1 $2>',
    )
    .replace(/[0-9A-F]{8}(?=$|[.>])/g, '');
}
