# The folder of a user's own files.
function mosdat_home($user) {
    $account = New-Object System.Security.Principal.NTAccount -ArgumentList $user
    $sid = $account.Translate([System.Security.Principal.SecurityIdentifier]).Value
    $key = Get-Item -LiteralPath "HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\$sid" -ErrorAction SilentlyContinue
    if (-not $key) { throw "$user has never logged on in this guest and has no folder" }
    [Environment]::ExpandEnvironmentVariables($key.GetValue('ProfileImagePath'))
}
