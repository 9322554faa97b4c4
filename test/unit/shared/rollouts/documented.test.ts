import { readFile } from 'node:fs/promises';
import { DeferralReason } from '../../../../shared/rollouts/executions/deferral.ts';
import { FailureClass } from '../../../../shared/rollouts/executions/execution.ts';
import { worstShareAfter } from '../../../../shared/rollouts/gate/intervals.ts';
import { cleanDevicesToPromote } from '../../../../shared/rollouts/gate/sprt.ts';
import { defaultWaves } from '../../../../shared/rollouts/gate/wave-definition.ts';
import { Ineligibility } from '../../../../shared/rollouts/plan/selection.ts';

const page = await readFile(new URL('../../../../docs/rollouts.md', import.meta.url), 'utf8');

describe('docs/rollouts.md', () => {
  test('has the default waves with the devices that promote them', () => {
    for (const { name, gate } of defaultWaves([])) {
      const row = new RegExp(`^\\| ${name} \\|[^|]*\\| (\\d+) %[^|]*\\| (\\d+) \\|$`, 'm').exec(page);
      const clean = Math.max(cleanDevicesToPromote(gate.failures), cleanDevicesToPromote(gate.silence));
      expect([name, row?.[1], row?.[2]]).toEqual([name, String(gate.failures.p1 * 100), String(clean)]);
    }
  });

  test('has what a clean canary proves', () => {
    const [, table = ''] = page.split('### What a clean canary proves');
    const rows = [...table.matchAll(/^\| (\d+) \| ([\d.]+) % \|$/gm)];
    expect(rows.length).toBeGreaterThan(8);
    for (const [, devices, share] of rows) {
      const proved = worstShareAfter(Number(devices)) * 100;
      expect([devices, share]).toEqual([devices, String(Number(proved.toPrecision(2)))]);
    }
  });

  test('names every reason', () => {
    for (const word of [...Object.values(DeferralReason), ...Object.values(Ineligibility)])
      expect(page).toContain(`\`${word}\``);
    for (const word of Object.values(FailureClass)) expect(page).toContain(word);
  });
});
