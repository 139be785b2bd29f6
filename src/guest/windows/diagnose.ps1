# What a person would look at first. Nothing is cut here: half a secret is found by no mask.
$ErrorActionPreference = 'SilentlyContinue'
function mosdat_part($title) { $mosdat_out.WriteLine("$env:mark$title") }
mosdat_part 'processes'
Get-CimInstance Win32_Process | Sort-Object CreationDate | Select-Object -Last 40 | ForEach-Object {
    '{0} {1} session {2} {3} KiB {4}' -f $_.ProcessId, $_.ParentProcessId, $_.SessionId, [math]::Floor($_.WorkingSetSize / 1024), $(if ($_.CommandLine) { $_.CommandLine } else { $_.Name })
}
mosdat_part 'crashes'
Get-WinEvent -MaxEvents 8 -FilterHashtable @{ LogName = 'Application'; ProviderName = 'Application Error', 'Application Hang', '.NET Runtime' } | ForEach-Object {
    '{0:s} {1}' -f $_.TimeCreated, ($_.Message -replace '\s+', ' ')
}
mosdat_part 'log'
Get-WinEvent -MaxEvents 30 -FilterHashtable @{ LogName = 'System', 'Application'; Level = 1, 2, 3 } | ForEach-Object {
    '{0:s} {1} {2}: {3}' -f $_.TimeCreated, $_.LevelDisplayName, $_.ProviderName, ($_.Message -replace '\s+', ' ')
}
mosdat_part 'disks'
Get-CimInstance Win32_LogicalDisk -Filter 'DriveType = 3' | ForEach-Object {
    '{0} {1} MiB, {2} MiB free' -f $_.DeviceID, [math]::Floor($_.Size / 1048576), [math]::Floor($_.FreeSpace / 1048576)
}
exit 0
