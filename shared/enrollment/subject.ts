import { AttributeTypeAndValue, AttributeValue, Name, RelativeDistinguishedName } from '@peculiar/asn1-x509';

const commonNameType = '2.5.4.3';
const serialNumberType = '2.5.4.5';

/** What we read of a distinguished name. */
export interface Subject {
  /** All values of CN, in order. */
  readonly commonNames: readonly string[];
  /** All values of serialNumber, in order. */
  readonly serialNumbers: readonly string[];
}

/** Reads the common names and serial numbers; other attributes are of no interest. A value that is no text is ''. */
export function readSubject(name: Name): Subject {
  const commonNames: string[] = [];
  const serialNumbers: string[] = [];
  for (const part of name) {
    for (const { type, value } of part) {
      if (type === commonNameType) commonNames.push(textOf(value));
      if (type === serialNumberType) serialNumbers.push(textOf(value));
    }
  }
  return { commonNames, serialNumbers };
}

/** `CN=<commonName>[, serialNumber=<serial>]`. CN is UTF8String, serialNumber PrintableString, as X.520 wants it. */
export function nameOf(commonName: string, serial?: string): Name {
  const parts = [
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: commonNameType, value: new AttributeValue({ utf8String: commonName }) }),
    ]),
  ];
  if (serial !== undefined) {
    parts.push(
      new RelativeDistinguishedName([
        new AttributeTypeAndValue({ type: serialNumberType, value: new AttributeValue({ printableString: serial }) }),
      ]),
    );
  }
  return new Name(parts);
}

function textOf(value: AttributeValue): string {
  return value.utf8String ?? value.printableString ?? value.ia5String ?? value.teletexString ?? value.bmpString ?? '';
}
