# Removes the program that is installed by the name $env:name, and waits until that is so; prints its name and its version, and
# `restart` where the guest has to be started anew. 3: there is none; 4: several; 5: it said no (kind and code are printed); 6: it
# is still there; 7: how it is removed silently is not known; 8: it is one user's.
function mosdat_named {
    $all = @(mosdat_installed)
    $same = @($all | Where-Object { $_.DisplayName -eq $env:name })
    if ($same.Count -gt 0) { return $same }
    # With the version behind it, as many installers write it.
    $all | Where-Object { $_.DisplayName -match ('^' + [regex]::Escape($env:name) + '\s+[\(v]?\d') }
}
$found = @(mosdat_named)
if ($found.Count -eq 0) { exit 3 }
if ($found.Count -gt 1) {
    $mosdat_err.WriteLine(($found | ForEach-Object { $_.DisplayName }) -join ', ')
    exit 4
}
$entry = $found[0]
$line = [string]$entry.UninstallString
$whose = mosdat_whose $entry
if ($whose -and $whose -ne 'S-1-5-18') {
    $mosdat_err.WriteLine($line)
    exit 8
}
$kind = 'unknown'
if ($entry.WindowsInstaller -eq 1 -or $line -match '(?i)^"?(\S*\\)?msiexec') {
    $kind = 'msi'
    $code = mosdat_msi "/x $($entry.PSChildName) $($silent.msi)"
} else {
    if ($line -match '^\s*"([^"]+)"\s*(.*)$' -or $line -match '(?i)^\s*(.+?\.exe)\s*(.*)$') {
        $file = $Matches[1]
        $rest = $Matches[2]
        if (Test-Path -LiteralPath $file) { $kind = mosdat_kind $file }
        if ($entry.PSChildName -match '_is1$') { $kind = 'inno' }
    }
    if ($kind -eq 'nsis') {
        # By itself it starts a copy of itself and ends; told where it is, it does its work at once. That has to be the last
        # word, without quotes. Its own file it leaves.
        $folder = Split-Path -LiteralPath $file
        $code = mosdat_start $file "$rest /S _?=$folder"
    } elseif ($kind -eq 'inno') {
        $code = mosdat_start $file "$rest $($silent.inno)"
    } elseif ([string]$entry.QuietUninstallString) {
        $code = mosdat_start "$env:SystemRoot\System32\cmd.exe" "/d /s /c `"$($entry.QuietUninstallString)`""
    } else {
        $mosdat_err.WriteLine($line)
        exit 7
    }
}
if (-not (mosdat_went_well $code)) {
    "$kind $code"
    $mosdat_err.WriteLine("what removes it ($kind) ended with exit code $code")
    exit 5
}
# Some go on for a while behind the one that was started.
foreach ($i in 1..150) {
    if (-not (Test-Path -LiteralPath $entry.PSPath)) { break }
    Start-Sleep -Milliseconds 200
}
if (Test-Path -LiteralPath $entry.PSPath) { exit 6 }
if ($kind -eq 'nsis') { Remove-Item -LiteralPath $file -Force -ErrorAction SilentlyContinue }
$entry.DisplayName
if ($entry.DisplayVersion) { "$($entry.DisplayVersion)" } else { 'unknown' }
if ($code -ne 0) { 'restart' }
exit 0
