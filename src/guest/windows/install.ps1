# Installs $env:package and prints what is there then: name and version, and `restart` where the guest has to be started anew.
# 3: no such file; 4: an installer of an unknown kind; 5: it said no; 6: nothing is installed afterwards; 7: only for the system.
$file = $env:package
if (-not (Test-Path -LiteralPath $file -PathType Leaf)) { exit 3 }
$kind = mosdat_kind $file
if ($kind -eq 'unknown') { exit 4 }
$before = @{}
foreach ($entry in mosdat_installed) { $before[$entry.PSPath] = "$($entry.DisplayName)|$($entry.DisplayVersion)" }
if ($kind -eq 'msi') {
    $code = mosdat_start 'msiexec.exe' "/i `"$file`" $($silent.msi)$($for_all.msi)"
} else {
    $code = mosdat_start $file "$($silent[$kind])$($for_all[$kind])"
}
if (-not (mosdat_went_well $code)) {
    $mosdat_err.WriteLine("the installer ($kind) ended with exit code $code")
    exit 5
}
# What is new, or has another version; else what the file is named after, which was there already.
$base = [System.IO.Path]::GetFileNameWithoutExtension($file)
$named = { $base.StartsWith(($_.DisplayName -split ' ')[0], [StringComparison]::OrdinalIgnoreCase) }
$all = @(mosdat_installed)
$new = @($all | Where-Object { $before[$_.PSPath] -ne "$($_.DisplayName)|$($_.DisplayVersion)" })
if ($new.Count -eq 0) { $new = @($all | Where-Object $named) }
if ($new.Count -eq 0) { exit 6 }
# The program's own entry rather than that of a runtime that came with it.
$own = @($new | Where-Object $named)
if ($own.Count -gt 0) { $new = $own }
if ((mosdat_whose $new[0]) -eq 'S-1-5-18') { exit 7 }
$new[0].DisplayName
if ($new[0].DisplayVersion) { "$($new[0].DisplayVersion)" } else { 'unknown' }
if ($code -ne 0) { 'restart' }
exit 0
