/**
 * The types of measured events and their names (TCG PC Client Platform Firmware Profile 1.05, 10.4.1).
 *
 * @module
 */

/** The types that the code handles by name. */
export const EVENT_TYPE = {
  noAction: 0x00000003,
  separator: 0x00000004,
  action: 0x00000005,
  eventTag: 0x00000006,
  scrtmVersion: 0x00000008,
  postCode: 0x00000001,
  ipl: 0x0000000d,
  iplPartitionData: 0x0000000e,
  nonHostInfo: 0x00000011,
  variableDriverConfig: 0x80000001,
  variableBoot: 0x80000002,
  bootServicesApplication: 0x80000003,
  bootServicesDriver: 0x80000004,
  runtimeServicesDriver: 0x80000005,
  gpt: 0x80000006,
  efiAction: 0x80000007,
  firmwareBlob: 0x80000008,
  firmwareBlob2: 0x8000000a,
  variableBoot2: 0x8000000c,
  gpt2: 0x8000000d,
  hcrtm: 0x80000010,
  variableAuthority: 0x800000e0,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map([
  [0x00000000, "EV_PREBOOT_CERT"],
  [EVENT_TYPE.postCode, "EV_POST_CODE"],
  [0x00000002, "EV_UNUSED"],
  [EVENT_TYPE.noAction, "EV_NO_ACTION"],
  [EVENT_TYPE.separator, "EV_SEPARATOR"],
  [EVENT_TYPE.action, "EV_ACTION"],
  [EVENT_TYPE.eventTag, "EV_EVENT_TAG"],
  [0x00000007, "EV_S_CRTM_CONTENTS"],
  [EVENT_TYPE.scrtmVersion, "EV_S_CRTM_VERSION"],
  [0x00000009, "EV_CPU_MICROCODE"],
  [0x0000000a, "EV_PLATFORM_CONFIG_FLAGS"],
  [0x0000000b, "EV_TABLE_OF_DEVICES"],
  [0x0000000c, "EV_COMPACT_HASH"],
  [EVENT_TYPE.ipl, "EV_IPL"],
  [EVENT_TYPE.iplPartitionData, "EV_IPL_PARTITION_DATA"],
  [0x0000000f, "EV_NONHOST_CODE"],
  [0x00000010, "EV_NONHOST_CONFIG"],
  [EVENT_TYPE.nonHostInfo, "EV_NONHOST_INFO"],
  [0x00000012, "EV_OMIT_BOOT_DEVICE_EVENTS"],
  [EVENT_TYPE.variableDriverConfig, "EV_EFI_VARIABLE_DRIVER_CONFIG"],
  [EVENT_TYPE.variableBoot, "EV_EFI_VARIABLE_BOOT"],
  [EVENT_TYPE.bootServicesApplication, "EV_EFI_BOOT_SERVICES_APPLICATION"],
  [EVENT_TYPE.bootServicesDriver, "EV_EFI_BOOT_SERVICES_DRIVER"],
  [EVENT_TYPE.runtimeServicesDriver, "EV_EFI_RUNTIME_SERVICES_DRIVER"],
  [EVENT_TYPE.gpt, "EV_EFI_GPT_EVENT"],
  [EVENT_TYPE.efiAction, "EV_EFI_ACTION"],
  [EVENT_TYPE.firmwareBlob, "EV_EFI_PLATFORM_FIRMWARE_BLOB"],
  [0x80000009, "EV_EFI_HANDOFF_TABLES"],
  [EVENT_TYPE.firmwareBlob2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"],
  [0x8000000b, "EV_EFI_HANDOFF_TABLES2"],
  [EVENT_TYPE.variableBoot2, "EV_EFI_VARIABLE_BOOT2"],
  [EVENT_TYPE.gpt2, "EV_EFI_GPT_EVENT2"],
  [EVENT_TYPE.hcrtm, "EV_EFI_HCRTM_EVENT"],
  [EVENT_TYPE.variableAuthority, "EV_EFI_VARIABLE_AUTHORITY"],
  [0x800000e1, "EV_EFI_SPDM_FIRMWARE_BLOB"],
  [0x800000e2, "EV_EFI_SPDM_FIRMWARE_CONFIG"],
]);

/** Returns the name of a type, or its number if the profile has no name for it. */
export function eventTypeName(type: number): string {
  return NAMES.get(type) ?? `0x${type.toString(16).padStart(8, "0")}`;
}
