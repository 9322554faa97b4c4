import fc from 'fast-check';
import { basicPassword } from '../../../../shared/enrollment/est.ts';
import { pemBlocks, pemOf } from '../../../../shared/enrollment/pem.ts';
import { looksLikeToken, newToken, tokenHash } from '../../../../shared/enrollment/token.ts';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('basicPassword', () => {
  test('is what follows the first colon, whatever the user name', () => {
    const userName = fc.string().filter((name) => !name.includes(':'));
    fc.assert(
      fc.property(userName, fc.string(), (user, password) => {
        expect(basicPassword(basic(`${user}:${password}`))).toBe(password);
      }),
    );
  });

  test.each([undefined, '', 'Basic', 'Basic ', 'Bearer eHg6eQ==', 'Basic !!!', basic('no colon')])(
    '%j is none',
    (header) => {
      expect(basicPassword(header)).toBeUndefined();
    },
  );

  test('the scheme may be written in any case', () => {
    expect(basicPassword(basic('a:b').replace('Basic', 'basic'))).toBe('b');
  });
});

describe('tokens', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');

  test('a new one has a secret of its own and says what it allows', () => {
    const { token, secret } = newToken({ siteId: 's-1', uses: 3 }, 'user:u', now);
    expect(secret).toMatch(/^wle_[A-Za-z0-9_-]{43}$/);
    expect(looksLikeToken(secret)).toBe(true);
    expect(token).toEqual({
      id: expect.stringMatching(/^t-[0-9a-z]{26}$/),
      siteId: 's-1',
      uses: 3,
      used: 0,
      expiresAt: '2030-01-08T00:00:00.000Z',
      allowUnknown: true,
      createdAt: '2030-01-01T00:00:00.000Z',
      createdBy: 'user:u',
    });
    expect(JSON.stringify(token)).not.toContain(secret.slice(4));
    expect(tokenHash(secret)).toMatch(/^[0-9a-f]{64}$/);
  });

  test('times are kept in the form that compares as text, wherever they came from', () => {
    const { token } = newToken({ expiresAt: '2030-06-01T02:00:00+02:00' }, 'user:u', now);
    expect(token.expiresAt).toBe('2030-06-01T00:00:00.000Z');
  });
});

describe('PEM', () => {
  test('blocks come back as they were, in order, whatever is around them', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (blocks) => {
        const text = blocks.map((der) => `subject=x\n${pemOf('CERTIFICATE', der)}`).join('');
        expect(pemBlocks('CERTIFICATE', text)).toEqual(blocks.map((der) => new Uint8Array(der)));
        expect(pemBlocks('OTHER', text)).toEqual([]);
      }),
    );
  });
});
