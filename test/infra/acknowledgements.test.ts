import { type App, CfnResource, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, HIPAASecurityChecks, type NagPack, ServerlessChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { WardlineChecks } from '../../infra/checks/wardline-checks.ts';
import { sampleContext, synthesizedUnchecked } from '../support/synthesized.ts';

/** One acknowledgement: on which construct, which finding, why. */
interface Acknowledgement {
  readonly path: string;
  readonly id: string;
  readonly reason: string;
}

function acknowledgements(app: App): Acknowledgement[] {
  return app.node.findAll().flatMap((construct) =>
    construct.node.metadata
      .filter((entry) => entry.type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap((entry) =>
        Object.entries(entry.data as Record<string, string>).map(([id, reason]) => ({
          path: construct.node.path,
          id: id.replace(/^annotation::/i, ''),
          reason,
        })),
      ),
  );
}

/** Every finding, acknowledged or not: cdk-nag looks for acknowledgements under another key meanwhile. */
function allFindings(app: App): { id: string; path: string }[] {
  const key = Validations.ACKNOWLEDGED_RULES_METADATA_KEY;
  Object.defineProperty(Validations, 'ACKNOWLEDGED_RULES_METADATA_KEY', { value: 'none', configurable: true });
  try {
    const packs: NagPack[] = [
      new AwsSolutionsChecks(),
      new HIPAASecurityChecks(),
      new ServerlessChecks(),
      new WardlineChecks(),
    ];
    return packs.flatMap((pack) =>
      pack.validateScope(app).violations.flatMap((violation) =>
        violation.violatingResources.map((resource) => ({
          id: violation.ruleName,
          path: resource.constructPath ?? '',
        })),
      ),
    );
  } finally {
    Object.defineProperty(Validations, 'ACKNOWLEDGED_RULES_METADATA_KEY', { value: key, configurable: true });
  }
}

const { app } = synthesizedUnchecked({ ...sampleContext, 'wardline:vpc': {} }).wardline;
// CDK itself acknowledges findings of another validator in what it makes.
const given = acknowledgements(app).filter(({ id }) => /^(AwsSolutions|HIPAA\.Security|Serverless|Wardline)-/.test(id));

test('each acknowledgement has a reason that says something', () => {
  expect(given.length).toBeGreaterThan(30);
  expect(given.filter(({ reason }) => reason.split(' ').length < 4)).toEqual([]);
});

test('each acknowledgement answers a finding: one that is no longer needed is taken away', () => {
  const findings = allFindings(app);
  const unneeded = given.filter(
    ({ id, path }) => !findings.some((finding) => finding.id === id && `${finding.path}/`.startsWith(`${path}/`)),
  );
  expect(unneeded).toEqual([]);
});

test('no stack is acknowledged as a whole', () => {
  const stacks = app.node.children.filter((child: IConstruct) => !CfnResource.isCfnResource(child));
  expect(given.filter(({ path }) => path === '' || stacks.some((stack) => stack.node.path === path))).toEqual([]);
});
