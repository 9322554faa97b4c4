import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LocalCloud } from './local-cloud.ts';

const run = promisify(execFile);

/** A device's identity on disk, made and enrolled with openssl and curl alone. */
export interface EnrolledDevice {
  readonly id: string;
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly csrFile: string;
}

/** A new P-256 key and a CSR (PKCS#10, DER) whose subject carries the serial number. */
export async function makeRequest(folder: string, serial: string): Promise<{ keyFile: string; csrFile: string }> {
  const keyFile = join(folder, `${serial}.key`);
  const csrFile = join(folder, `${serial}.csr`);
  await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', keyFile]);
  await run('openssl', [
    'req',
    '-new',
    '-key',
    keyFile,
    '-subj',
    `/serialNumber=${serial}`,
    '-outform',
    'DER',
    '-out',
    csrFile,
  ]);
  return { keyFile, csrFile };
}

/** Sends a CSR to EST `simpleenroll` with curl and returns the HTTP status and body as they came. */
export async function simpleEnroll(
  cloud: LocalCloud,
  token: string,
  csrFile: string,
): Promise<{ status: number; body: string }> {
  const base64 = (await run('openssl', ['base64', '-in', csrFile])).stdout;
  const bodyFile = `${csrFile}.b64`;
  writeFileSync(bodyFile, base64);
  const { stdout } = await run('curl', [
    '--silent',
    '--cacert',
    cloud.endpoints.ca,
    '--user',
    `device:${token}`,
    '--header',
    'Content-Type: application/pkcs10',
    '--header',
    'Content-Transfer-Encoding: base64',
    '--data-binary',
    `@${bodyFile}`,
    '--write-out',
    '\n%{http_code}',
    `${cloud.endpoints.enroll}/.well-known/est/simpleenroll`,
  ]);
  const end = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

/** Key, CSR, enrolment, and the certificate unpacked from the PKCS#7 answer by openssl. */
export async function enroll(cloud: LocalCloud, token: string, serial: string): Promise<EnrolledDevice> {
  const { keyFile, csrFile } = await makeRequest(cloud.scratch, serial);
  const answer = await simpleEnroll(cloud, token, csrFile);
  if (answer.status !== 200) throw new Error(`simpleenroll answered ${answer.status}: ${answer.body}`);
  const pkcs7File = join(cloud.scratch, `${serial}.p7`);
  writeFileSync(pkcs7File, Buffer.from(answer.body, 'base64'));
  const certificateFile = join(cloud.scratch, `${serial}.pem`);
  await run('openssl', ['pkcs7', '-inform', 'DER', '-in', pkcs7File, '-print_certs', '-out', certificateFile]);
  const { stdout } = await run('openssl', [
    'x509',
    '-in',
    certificateFile,
    '-noout',
    '-subject',
    '-nameopt',
    'RFC2253',
  ]);
  const id = /CN=([^,+\s]+)/.exec(stdout)?.[1];
  if (id === undefined) throw new Error(`The certificate has no CN: ${stdout}`);
  return { id, keyFile, certificateFile, csrFile };
}

/** One HTTPS check-in with curl and the device's certificate. */
export async function curlCheckIn(
  cloud: LocalCloud,
  device: Pick<EnrolledDevice, 'keyFile' | 'certificateFile'>,
  message: unknown,
): Promise<{ status: number; body: unknown }> {
  const { stdout } = await run('curl', [
    '--silent',
    '--cacert',
    cloud.endpoints.ca,
    '--cert',
    device.certificateFile,
    '--key',
    device.keyFile,
    '--header',
    'Content-Type: application/json',
    '--data',
    JSON.stringify(message),
    '--write-out',
    '\n%{http_code}',
    `${cloud.endpoints.device}/v1/checkin`,
  ]);
  const end = stdout.lastIndexOf('\n');
  const text = stdout.slice(0, end);
  return { status: Number(stdout.slice(end + 1)), body: text === '' ? undefined : JSON.parse(text) };
}
