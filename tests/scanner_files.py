"""Files as scanners leave them beside a scan, shortened after published ones, and a sidecar's writer."""

from __future__ import annotations

from pathlib import Path

NIKON = """[XTekCT]
Name=Cell 7
VoxelsX=1150
VoxelSizeX=0.049751
VoxelsY=1939
VoxelSizeY=0.049751
VoxelSizeZ=0.049751
SrcToObject=183.012
SrcToDetector=735.7075
DetectorPixelsX=2000
DetectorPixelSizeX=0.2
Projections=2500
AngularStep=0.144
WhiteLevel=60000
[Xrays]
XraykV=216
XrayuA=229
[CTPro]
Version=V5.1
Product=CT Pro 3D
Filter_ThicknessMM=1.000
Filter_Material=Copper
[DICOM]
Projections=1
"""

PHOENIX = """[General]
Version=2.8.2.20099
SystemName=v|tome|x m
[Geometry]
FDD=802.77534791
FOD=163.19250000
Magnification=4.91919266
VoxelSizeX=0.04065708
VoxelSizeY=0.04065708
[CT]
NumberImages=1800
RotationSector=360.00000000
[Xray]
Name=xs|240 d
Voltage=200
Current=150
Filter=0.1Cu
[Detector]
Name=DXR-250
PixelsizeX=0.20000000
Binning=0
TimingVal=333.096
Avg=4
Skip=1
[CalibImages]
Avg=100
"""

SKYSCAN = """[System]
Scanner=SkyScan1275
Instrument S/N=001
Software Version=1.0.16
Camera Pixel Size (um)=75.0
[Acquisition]
Number Of Files=  601
Camera binning=1x1
Object to Source (mm)=24.755
Camera to Source (mm)=286.0
Source Voltage (kV)=  80
Source Current (uA)= 124
Image Pixel Size (um)=7.000817
Exposure (ms)=57
Rotation Step (deg)=0.600
Use 360 Rotation=YES
Frame Averaging=ON (4)
Filter=Al 1mm
Study Date and Time=12 Dec 2017  14h:45m:02s
[Reconstruction]
Reconstruction Program=NRecon
"""


def scanner(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def sidecar(folder: Path, text: str) -> Path:
    file = folder / "acquisition.yaml"
    file.write_text(text, encoding="utf-8")
    return file
