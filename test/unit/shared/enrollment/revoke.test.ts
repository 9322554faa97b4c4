import { cutOff, outdatedCertificates } from '../../../../shared/enrollment/revoke.ts';

describe('outdatedCertificates', () => {
  const enrolled = { lifecycle: 'enrolled', certificate: 'a', nextCertificate: 'b' } as const;
  test.each([
    ['a heartbeat', enrolled, enrolled, [], false],
    ['first use of the renewed certificate', enrolled, { lifecycle: 'enrolled', certificate: 'b' }, ['a'], false],
    ['a renewal that was overtaken', enrolled, { ...enrolled, nextCertificate: 'c' }, ['b'], false],
    ['a renewal', { lifecycle: 'enrolled', certificate: 'a' }, enrolled, [], false],
    ['revocation', enrolled, { ...enrolled, lifecycle: 'revoked' }, [], true],
    [
      'a change of a revoked device',
      { ...enrolled, lifecycle: 'revoked' },
      { ...enrolled, lifecycle: 'revoked' },
      [],
      false,
    ],
    ['pre-registered anew', { ...enrolled, lifecycle: 'revoked' }, { lifecycle: 'expected' }, [], false],
  ] as const)('%s', (_name, before, after, retired, revoked) => {
    expect(outdatedCertificates(before, after)).toEqual({ retired, revoked });
  });
});

describe('cutOff', () => {
  const recording = () => {
    const done: string[] = [];
    const note = (word: string) => async (name: string) => {
      done.push(`${word} ${name}`);
    };
    return {
      done,
      switches: { revoke: note('revoke'), retire: note('retire') },
      connections: { disconnect: note('cut') },
    };
  };

  test('revokes both certificates, then cuts the connection', async () => {
    const { done, switches, connections } = recording();
    await cutOff({ id: 'd', certificate: 'a', nextCertificate: 'b' }, switches, connections);
    expect(done).toEqual(['revoke a', 'revoke b', 'cut d']);
  });

  test('a device that never enrolled has nothing to revoke', async () => {
    const { done, switches, connections } = recording();
    await cutOff({ id: 'd' }, switches, connections);
    expect(done).toEqual(['cut d']);
  });
});
