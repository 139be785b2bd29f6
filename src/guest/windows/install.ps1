# Installs $env:package and prints what is there then: name and version, and `restart` where the guest has to be started anew.
# 3: no such file; 4: an installer of an unknown kind; 5: it said no (its kind and code are printed); 6: nothing is installed
# afterwards; 7: only for the system; 8: what is installed by it is not clear.
$file = $env:package
if (-not (Test-Path -LiteralPath $file -PathType Leaf)) { exit 3 }
$kind = mosdat_kind $file
if ($kind -eq 'unknown') { exit 4 }
$before = @{}
foreach ($entry in mosdat_installed) { $before[$entry.PSPath] = "$($entry.DisplayName)|$($entry.DisplayVersion)" }
if ($kind -eq 'msi') {
    $code = mosdat_msi "/i `"$file`" $($silent.msi)$($for_all.msi)"
} else {
    $code = mosdat_start $file "$($silent[$kind])$($for_all[$kind])"
}
if (-not (mosdat_went_well $code)) {
    "$kind $code"
    $mosdat_err.WriteLine("the installer ($kind) ended with exit code $code")
    exit 5
}
# Letters and digits only, without a version and what stands in brackets.
function mosdat_bare($name) {
    ($name -replace '\s*\([^)]*\)', '' -replace '\s+v?\d.*$', '' -replace '[^\p{L}\p{Nd}]', '').ToLowerInvariant()
}
$base = [System.IO.Path]::GetFileNameWithoutExtension($file)
$bare = ($base -replace '[^\p{L}\p{Nd}]', '').ToLowerInvariant()
# The file is named after it: by all words of its name, or by the first one.
$named = {
    $words = mosdat_bare $_.DisplayName
    $words.Length -gt 1 -and $bare.StartsWith($words, [StringComparison]::Ordinal)
}
$akin = { $base.StartsWith(($_.DisplayName -split ' ')[0], [StringComparison]::OrdinalIgnoreCase) }
$all = @(mosdat_installed)
# What is new, or has another version.
$new = @($all | Where-Object { $before[$_.PSPath] -ne "$($_.DisplayName)|$($_.DisplayVersion)" })
if ($new.Count -gt 0) {
    # The program's own entry rather than that of a runtime that came with it.
    foreach ($fits in $named, $akin) {
        $own = @($new | Where-Object $fits)
        if ($own.Count -gt 0) {
            $new = $own
            break
        }
    }
} else {
    # It was there already.
    $new = @($all | Where-Object $named)
    if ($new.Count -eq 0) { exit 6 }
    if ($new.Count -gt 1) {
        $mosdat_err.WriteLine(($new | ForEach-Object { $_.DisplayName }) -join ', ')
        exit 8
    }
}
if ((mosdat_whose $new[0]) -eq 'S-1-5-18') { exit 7 }
$new[0].DisplayName
if ($new[0].DisplayVersion) { "$($new[0].DisplayVersion)" } else { 'unknown' }
if ($code -ne 0) { 'restart' }
exit 0
