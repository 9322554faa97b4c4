import { onceRoleIsKnown } from '../../../../shared/aws/new-role.ts';

function denied(name: string): Error {
  return Object.assign(new Error('not authorized'), { name });
}

describe('onceRoleIsKnown', () => {
  let waited: number[];
  const pause = async (seconds: number) => {
    waited.push(seconds);
  };
  beforeEach(() => {
    waited = [];
  });

  test.each(['AccessDeniedException', 'AccessDenied'])(
    'tries again after %s, and gives what comes in the end',
    async (name) => {
      let tries = 0;
      const attempt = async () => {
        tries += 1;
        if (tries < 3) throw denied(name);
        return 'done';
      };
      await expect(onceRoleIsKnown(attempt, pause)).resolves.toBe('done');
      expect(waited).toEqual([1, 2]);
    },
  );

  test('a denial that lasts is thrown after half a minute', async () => {
    const error = denied('AccessDeniedException');
    await expect(onceRoleIsKnown(() => Promise.reject(error), pause)).rejects.toBe(error);
    expect(waited).toEqual([1, 2, 4, 8, 16]);
  });

  test('any other failure is thrown at once', async () => {
    await expect(onceRoleIsKnown(() => Promise.reject(denied('NotFoundException')), pause)).rejects.toThrow();
    expect(waited).toEqual([]);
  });
});
