import { CommandType } from '../commands/command.ts';

/** Actions of the authorization policies, as `policies/wardline.cedarschema` declares them (without the groups). */
export const actions = [
  'ReadPlace',
  'ReadDevice',
  'ReadCommand',
  'ReadEnrollmentToken',
  'ReadImport',
  'ReadAudit',
  'CreateSite',
  'UpdateSite',
  'DeleteSite',
  'CreateUnit',
  'UpdateUnit',
  'DeleteUnit',
  'RegisterDevice',
  'UpdateDevice',
  'DeleteDevice',
  'RevokeDevice',
  'ImportDevices',
  'CreateEnrollmentToken',
  'RevokeEnrollmentToken',
  'RequestInventory',
  'SendMessage',
  'LockDevice',
  'RestartDevice',
  'LocateDevice',
  'WipeDevice',
  'InstallUpdate',
  'ApplyConfig',
  'RotateCertificate',
  'CollectLogs',
  'CancelCommand',
] as const;
export type Action = (typeof actions)[number];

/** The permission that a command of each type needs. */
export const commandActions: Readonly<Record<CommandType, Action>> = {
  [CommandType.Inventory]: 'RequestInventory',
  [CommandType.Message]: 'SendMessage',
  [CommandType.Lock]: 'LockDevice',
  [CommandType.Restart]: 'RestartDevice',
  [CommandType.Locate]: 'LocateDevice',
  [CommandType.Wipe]: 'WipeDevice',
  [CommandType.InstallUpdate]: 'InstallUpdate',
  [CommandType.ApplyConfig]: 'ApplyConfig',
  [CommandType.RotateCertificate]: 'RotateCertificate',
  [CommandType.CollectLogs]: 'CollectLogs',
};
