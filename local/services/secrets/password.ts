import { randomInt } from 'node:crypto';
import { AwsError } from '../../cloud.ts';
import type { Fields } from '../fields.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';
const PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';

const pick = (characters: string): string => characters.charAt(randomInt(characters.length));

/**
 * A password as `GenerateSecretString` describes it:
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-secretsmanager-secret-generatesecretstring.html
 */
export const generatePassword = (options: Fields): string => {
  const excluded = new Set(options.optionalText('ExcludeCharacters') ?? '');
  const length = options.optionalNumber('PasswordLength') ?? 32;
  const classes = [
    options.flag('ExcludeLowercase') ? '' : LOWER,
    options.flag('ExcludeUppercase') ? '' : UPPER,
    options.flag('ExcludeNumbers') ? '' : DIGITS,
    options.flag('ExcludePunctuation') ? '' : PUNCTUATION,
    options.flag('IncludeSpace') ? ' ' : '',
  ]
    .map((characters) => [...characters].filter((character) => !excluded.has(character)).join(''))
    .filter((characters) => characters !== '');
  const all = classes.join('');
  if (all === '' || length < 1 || length > 4096)
    throw new AwsError('InvalidParameterException', 'No password fulfils GenerateSecretString');
  const required =
    !options.has('RequireEachIncludedType') || options.flag('RequireEachIncludedType') ? classes.map(pick) : [];
  if (required.length > length)
    throw new AwsError('InvalidParameterException', 'PasswordLength is too short for one character of each kind');
  const characters = [...required, ...Array.from({ length: length - required.length }, () => pick(all))];
  // The required ones stand first until all are shuffled.
  for (let index = characters.length - 1; index > 0; index -= 1) {
    const other = randomInt(index + 1);
    [characters[index], characters[other]] = [characters[other] ?? '', characters[index] ?? ''];
  }
  return characters.join('');
};

/** The secret's text: the password alone, or as `GenerateStringKey` in the JSON object of `SecretStringTemplate`. */
export const generateSecretString = (options: Fields): string => {
  const password = generatePassword(options);
  const key = options.optionalText('GenerateStringKey');
  const template = options.optionalText('SecretStringTemplate');
  if (key === undefined || template === undefined) return password;
  return JSON.stringify({ ...(JSON.parse(template) as object), [key]: password });
};
